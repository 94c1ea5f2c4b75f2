"""Python that does what a fit on the command line has done."""

from fasttrain._core.specs import Spec
from fasttrain.cli import _evaluation as evaluation
from fasttrain.cli._columns import code_columns
from fasttrain.cli._tables import STDIN


def snippet(outcome):
    """A script of its own: it reads the data, cross-validates and fits the same model.

    Parameters
    ----------
    outcome : fasttrain.cli._fitting.Outcome

    Returns
    -------
    str
        After it ran, ``scores`` and ``model`` are those of the outcome.
    """
    problem, job = outcome.problem, outcome.problem.job
    model = outcome.model[-1]
    kind = type(model)
    encoder = problem.encoder
    texts = [name for name in problem.texts if name in job.types or name in code_columns(job.file)]
    classes = problem.task == "classification"
    tables = ["TablePreprocessor"]
    steps = _cleaning(job, tables)
    splitter = "LeaveOneOut" if job.leave_one_out else "StratifiedKFold" if classes else "KFold"
    options = "" if job.leave_one_out else f"{job.n_folds}, shuffle=True, random_state={job.seed}"
    folds = f"{splitter}({options})"
    validated = job.leave_one_out or job.n_folds
    scaled = outcome.summary["target_scaled"]
    lines = ["import pandas as pd" if not job.file.is_parquet else "from pyarrow import parquet"]
    lines += ["from sklearn.compose import TransformedTargetRegressor"] if scaled else []
    lines += ["from sklearn.pipeline import make_pipeline"]
    lines += ["from sklearn.preprocessing import StandardScaler"] if scaled else []
    lines += imports_of_specs(model)
    lines += [f"from {kind.__module__} import {kind.__name__}"]
    lines += [f"from fasttrain.model_selection import {splitter}, cross_validate"] if validated else []
    lines += [f"from fasttrain.preprocessing import {', '.join(sorted(tables, key=str.lower))}", ""]
    lines += [*_reading(job, texts), *steps]
    target = repr(job.target)
    features = list(problem.X.columns)
    lines += [f"X = table[{features!r}]"]
    numbers = outcome.problem.y.dtype.kind in "biuf"
    as_text = "" if numbers else ".astype(str)"
    dtype = "dtype=float" if not classes else "" if numbers else "dtype=object"
    if problem.written:
        lines += [
            f"numbers = TablePreprocessor(types={{{target}: 'numeric'}}, scale=None)",
            f"y = numbers.fit_transform(table[[{target}]])[:, 0]",
        ]
    else:
        lines += [f"y = table[{target}]{as_text}.to_numpy({dtype})"]
    lines += [
        "",
        *encoder_lines(encoder),
        f"estimator = {model!r}",
    ]
    if scaled:
        lines += ["estimator = TransformedTargetRegressor(estimator, transformer=StandardScaler())"]
    lines += ["model = make_pipeline(encoder, estimator)"]
    if validated:
        metrics = list(evaluation.METRICS[problem.task])
        lines += [f"scores = cross_validate(model, X, y, cv={folds},", f"                        scoring={metrics!r})"]
        lines += [f'print(scores["test_{metrics[0]}"].mean())']
    lines += ["model.fit(X, y)"]
    return "\n".join(lines) + "\n"


def encoder_lines(encoder, more=()):
    """The lines that make a table's encoder."""
    options = [f"missing={encoder.missing!r}", f"scale={encoder.scale!r}", *more]
    return ["encoder = TablePreprocessor(", f"    types={encoder.types!r},", f"    {', '.join(options)},", ")"]


def _reading(job, texts):
    path = "data.csv" if str(job.data) == STDIN else str(job.data)
    if job.file.is_parquet:
        lines = [f"table = parquet.read_table({path!r}).to_pandas(ignore_metadata=True)"]
        return lines + [
            f"table[{name!r}] = table[{name!r}].astype(object).map(str, na_action='ignore')" for name in job.types
        ]
    options = [f"sep={job.file.separator!r}"] if job.file.separator != "," else []
    options += [f"encoding={job.file.encoding!r}"] if job.file.encoding != "utf-8-sig" else []
    options += [f"dtype=dict.fromkeys({texts!r}, str)"] if texts else []
    return [f"table = pd.read_csv({', '.join([repr(path), 'index_col=False', *options])})"]


def _cleaning(job, tables):
    """The lines that drop columns and rows, in the order of the command line; adds what they import to ``tables``."""
    lines = [f"table = table.drop(columns={list(job.leave_out)!r})"] if job.leave_out else []
    if job.impute:
        lines.append(f"table = drop_missing(table, subset=[{job.target!r}])")
    if job.drop_missing:
        lines.append("table = drop_missing(table)")
    if job.drop_duplicates:
        lines.append("table = drop_duplicates(table)")
    if job.outliers:
        lines.append(f"numbers = [n for n in table.select_dtypes('number').columns if n != {job.target!r}]")
        threshold = "" if job.threshold is None else f", threshold={job.threshold!r}"
        lines.append(f"table = drop_outliers(table, method={job.outliers!r}{threshold}, subset=numbers)")
    tables += [
        name for name in ("drop_missing", "drop_duplicates", "drop_outliers") if any(name in line for line in lines)
    ]
    return lines


def imports_of_specs(model):
    """Imports for the optimizers, schedules and penalties that the model's ``repr`` shows."""
    found = sorted({
        (type(value).__module__, type(value).__name__)
        for value in model.get_params().values() if isinstance(value, Spec)
    })
    return [f"from {module} import {name}" for module, name in found]
