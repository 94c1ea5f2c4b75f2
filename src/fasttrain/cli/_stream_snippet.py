"""Python that does what a fit in blocks on the command line has done."""

from fasttrain.cli._snippet import encoder_lines, imports_of_specs
from fasttrain.cli._streaming import reading_of
from fasttrain.cli._tables import STDIN


def snippet(outcome, held_out):
    """A script of its own: it opens the source, holds rows out and fits the same model.

    Parameters
    ----------
    outcome : fasttrain.cli._stream_fitting.Outcome
    held_out : float
        The share that is held out where no number of folds was given.

    Returns
    -------
    str
        After it ran, ``score``, or the mean of ``scores``, is the outcome's first, and ``model`` predicts as its does.
    """
    job, model = outcome.job, outcome.model[-1]
    kind = type(model)
    spooled = str(job.data) == STDIN
    maker, reading = ("from_csv", {"dtype": "table"}) if spooled else reading_of(
        job.data, job.separator, job.encoding, job.target)
    lines = ["from sklearn.base import clone"] if job.folds else []
    lines += [
        "from sklearn.pipeline import make_pipeline", f"from fasttrain.data import {maker}",
        *imports_of_specs(model), f"from {kind.__module__} import {kind.__name__}",
        "from fasttrain.preprocessing import TablePreprocessor", "",
    ]
    drops = "any" if job.drop_missing else "target" if job.impute else None
    options = ({} if drops else {"target": job.target}) | reading
    path = "data.csv" if spooled else str(job.data)
    lines.append(f"source = {maker}({', '.join([repr(path), *(f'{k}={v!r}' for k, v in options.items())])})")
    if job.leave_out:
        lines.append(f"source = source.map(lambda table: table.drop_columns({list(job.leave_out)!r}))")
    if drops:
        lines.append(f"source = source.with_target({job.target!r}, drop_missing={drops!r})")
    if outcome.target is not None:
        mean, scale = outcome.target
        lines += [
            f"mean, scale = {mean!r}, {scale!r}",
            "# what the model predicts is in these units: times the scale plus the mean it is in the target's",
            "source = source.map(y=lambda y: (y - mean) / scale)",
        ]
    lines += ["", *encoder_lines(outcome.encoder, ["sparse_output=False"]), f"estimator = {model!r}"]
    if job.folds:
        lines += [
            "scores = [", "    make_pipeline(clone(encoder), clone(estimator)).fit(train).score(held)",
            f"    for train, held in source.folds({job.folds}, seed={job.seed})", "]",
            "print(sum(scores) / len(scores))", "model = make_pipeline(encoder, estimator).fit(source)",
        ]
    elif job.folds is None:
        lines += [
            f"train, held = source.split({held_out!r}, seed={job.seed})",
            "model = make_pipeline(encoder, estimator).fit(train)", "score = model.score(held)", "print(score)",
        ]
    else:
        lines.append("model = make_pipeline(encoder, estimator).fit(source)")
    return "\n".join(lines) + "\n"
