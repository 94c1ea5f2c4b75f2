"""The commands of :mod:`fasttrain.cli`."""

import os
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

import fasttrain
from fasttrain import losses, optimizers, penalties, schedules

PATH = click.Path(path_type=Path)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(fasttrain.__version__, prog_name="fasttrain")
def commands():
    """Train linear models on a CPU with compiled kernels."""


@commands.command()
@click.option("--out", type=PATH, default=Path("demo-output"), show_default=True, help="Folder for the results.")
@click.pass_obj
def demo(interrupts, out):
    """Clean, encode, scale, train and cross-validate four real tables, beside NumPy and scikit-learn."""
    _require_folder(out)
    from fasttrain.cli.demo import WIDTH, run

    console = Console()
    run(out, console if console.is_terminal else Console(width=WIDTH), interrupts.check)


class _BatchSize(click.ParamType):
    name = "auto|full|integer"

    def convert(self, value, param, ctx):
        if value in ("auto", "full") or isinstance(value, int):
            return value
        try:
            return int(value)
        except ValueError:
            self.fail(f"{value!r} is not 'auto', 'full' or an integer", param, ctx)


def _require_folder(path):
    """Before any work is done: whether ``path`` is a folder, or can be made one."""
    there = next(folder for folder in (path.absolute(), *path.absolute().parents) if folder.exists())
    if not there.is_dir():
        raise ValueError(f"{there} is a file; --out needs a folder")
    if not os.access(there, os.W_OK | os.X_OK):
        raise ValueError(f"the folder {there} cannot be written to")


def _names(module):
    return ", ".join(module.names())


@commands.command()
@click.argument("data", type=PATH)
@click.option("--target", required=True, metavar="NAME", help="Column to predict.")
@click.option("--out", type=PATH, required=True, metavar="DIR", help="Folder for the model and the results.")
@click.option("--sep", default=",", show_default=True, help="What stands between cells.")
@click.option("--leave-out", multiple=True, metavar="NAME", help="Column that is no feature; may be repeated.")
@click.option("--categorical", multiple=True, metavar="NAME", help="Numeric column that holds categories.")
@click.option("--drop-missing", is_flag=True, help="Drop rows with missing values.")
@click.option("--impute", is_flag=True, help="Fill missing values: median, or most frequent category.")
@click.option("--drop-duplicates", is_flag=True, help="Drop rows that repeat another.")
@click.option("--outliers", type=click.Choice(["absolute", "zscore", "iqr", "mad"]), help="Drop rows with outliers.")
@click.option("--threshold", type=float, help="For --outliers; the method's own when left out.")
@click.option("--scaling", type=click.Choice(["standard", "minmax", "none"]), default="standard", show_default=True)
@click.option("--model", type=click.Choice(["auto", "classifier", "regressor"]), default="auto", show_default=True)
@click.option("--loss", help="Of " + _names(losses) + ".")
@click.option("--optimizer", help="auto (L-BFGS unless steps are asked for), or one of " + _names(optimizers) + ".")
@click.option("--learning-rate", type=float)
@click.option("--schedule", help="One of " + _names(schedules) + ".")
@click.option("--penalty", help="auto (as Ridge and LogisticRegression), or one of " + _names(penalties) + ".")
@click.option("--alpha", type=float, help="Strength of the penalty.")
@click.option("--l1-ratio", type=float, help="Share of L1 in elasticnet.")
@click.option("--batch-size", type=_BatchSize())
@click.option("--max-iter", type=int, help="Most passes over the data, or iterations of L-BFGS.")
@click.option("--tol", type=float, help="Gradient (of L-BFGS), or improvement of the loss, that is too small to go on.")
@click.option("--early-stopping", is_flag=True, default=None, help="Stop by the loss on held-out rows.")
@click.option("--cv", "folds", type=int, default=5, show_default=True, metavar="K", help="Folds; 0 for none.")
@click.option("--leave-one-out", is_flag=True, help="One fold for each row.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--threads", type=int, help="Threads at most.")
@click.pass_obj
def fit(interrupts, data, target, out, sep, leave_out, categorical, drop_missing, impute, drop_duplicates, outliers,
        threshold, scaling, model, folds, leave_one_out, seed, threads, **settings):  # fmt: skip
    """Fit a linear model to the CSV file DATA, cross-validate it and save it.

    Scaling and encoding are learnt anew in every fold. The folder gets the model (JSON and raw arrays),
    results.json and, with matplotlib, loss.png.
    """
    from fasttrain.cli import _fitting

    if drop_missing and impute:
        raise ValueError("--drop-missing and --impute exclude each other: pass one of them")
    if threshold is not None and outliers is None:
        raise ValueError("--threshold is for --outliers: pass both or neither")
    if len(sep) != 1:
        raise ValueError(f"--sep must be one character, got {sep!r}")
    _require_folder(out)
    job = _fitting.Job(
        data, target, sep, leave_out, categorical, drop_missing, impute, drop_duplicates, outliers, threshold,
        scaling, model, folds, leave_one_out, seed, {**settings, "n_threads": threads},
    )  # fmt: skip
    console = Console()
    terminal = Console(stderr=True)
    progress = Progress(
        TextColumn("training"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[state]}"),
        TimeElapsedColumn(), console=terminal, transient=True, disable=not terminal.is_terminal,
    )  # fmt: skip
    with progress:
        task = progress.add_task("", total=None, state="")

        def tell(epoch, n_epochs, logs):
            progress.update(task, state=f"pass {epoch} of {n_epochs}, loss {logs['loss']:.4g}")

        outcome = _fitting.run(
            job, interrupts, begin=lambda n: progress.update(task, total=n),
            advance=lambda: progress.advance(task), tell=tell,
        )  # fmt: skip
    names = _fitting.write(outcome, out)
    _show(console, outcome.summary)
    for message in outcome.messages:
        click.echo(f"warning: {message}", err=True)
    console.print(f"Written to {out}: {', '.join(names)}", soft_wrap=True, highlight=False)
    final = outcome.summary["final_fit"]
    if not final["converged"]:
        console.print(
            f"Not converged: {final['stop_reason']}. {final['to_change']}.", soft_wrap=True, highlight=False)


def _show(console, summary):
    rows = summary["rows"]
    console.print(", ".join(f"{n} rows {what}" for what, n in rows.items()))
    console.print(summary["estimator"], soft_wrap=True, highlight=False)
    found = summary["cross_validation"]
    if found["folds"]:
        pooled = found["method"] == "leave-one-out"
        console.print(f"Cross-validation: {found['method']}, {found['folds']} folds")
        table = Table()
        for heading in ("metric", "score", *(() if pooled else ("spread",))):
            table.add_column(heading, justify="left" if heading == "metric" else "right")
        for label, score in found["scores"].items():
            table.add_row(label, f"{score['mean']:.4f}", *(() if pooled else (f"{score['std']:.4f}",)))
        console.print(table)
    final = summary["final_fit"]
    console.print(f"Final fit: {final['passes']} passes, loss {final['loss']:.6g}, {final['seconds']:.3f} s")


@commands.command()
@click.argument("folder", type=PATH, metavar="DIR")
@click.argument("data", type=PATH)
@click.option("--out", type=PATH, metavar="FILE", help="CSV file for the predictions; standard output when left out.")
@click.option("--proba", is_flag=True, help="A column with the probability of each class as well.")
@click.option(
    "--unknown", type=click.Choice(["error", "ignore"]), default="error", show_default=True,
    help="Refuse categories that the training did not see, or take them as none of the known ones.",
)  # fmt: skip
def predict(folder, data, out, proba, unknown):
    """Predict the rows of the CSV file DATA with the model in DIR."""
    from fasttrain.cli import _fitting
    from fasttrain._files.atomic import write_file

    if out is not None and (out.is_dir() or not out.parent.is_dir()):
        raise ValueError(f"{out} is a folder" if out.is_dir() else f"the folder {out.parent} does not exist")
    text = _fitting.predict(folder, data, unknown, proba).to_csv(index=False)
    if out is None:
        click.echo(text, nl=False)
    else:
        write_file(out, text.encode())


@commands.command()
def info():
    """Version, instruction set, OpenMP and threads of this installation."""
    import platform

    import numpy
    import sklearn

    table = Table(show_header=False)
    facts = {**fasttrain.show_config("dicts"), "python": platform.python_version(), "numpy": numpy.__version__}
    for name, value in {**facts, "scikit-learn": sklearn.__version__}.items():
        table.add_row(name.replace("_", " "), str(value))
    Console().print(table)


@commands.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("script", type=PATH)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[ARGS]...")
def patch(script, arguments):
    """Run a Python SCRIPT with scikit-learn's estimators answered by fasttrain.

    What follows SCRIPT are its own arguments. scikit-learn's SGD estimators, perceptrons, scalers, encoders and
    model-selection functions are replaced; the logger "fasttrain" tells what went to scikit-learn after all.
    """
    from fasttrain.patch import run_script

    run_script(script, arguments)
