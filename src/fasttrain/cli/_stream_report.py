"""The report of a fit in blocks as one HTML file: what passes over the rows that were held out tell."""

from fasttrain.cli import _page as page
from fasttrain.cli import _report
from fasttrain.cli._screen import counted, score_of, shortened
from fasttrain.cli._stream_snippet import snippet


def report(outcome, held_out):
    """The HTML of what ``fasttrain fit`` has found in blocks.

    Parameters
    ----------
    outcome : fasttrain.cli._stream_fitting.Outcome
    held_out : float
        The share that is held out where no number of folds was given.

    Returns
    -------
    str
    """
    summary = outcome.summary
    return _report.titled_page(
        summary, f"{summary['rows']['left']} rows in {counted(summary['blocks'], 'block')}",
        [_report.scores(summary) if summary["held_out"] is None else _scores(summary), _report.rows_read(summary),
         *_report.pictures(outcome), _report.training(outcome), _report.insight(outcome), _columns(outcome.encoder),
         _report.repeat(summary, snippet(outcome, held_out))])


def _scores(summary):
    held, tested = summary["held_out"], summary["test"]
    first = next(iter(held["scores"]))
    big = [(score_of(held["scores"][first]), first), (score_of(held["baseline"][first]), "baseline")]
    big += [(score_of(tested["scores"][first]), "test file")] if tested else []
    rows = [
        [label, score_of(score), score_of(held["baseline"][label]),
         *([score_of(tested["scores"][label])] if tested else [])] for label, score in held["scores"].items()]
    parts = [
        page.figures(big),
        page.table(["metric", "held out", "baseline", *(["test"] if tested else [])], rows),
        page.note(
            f"Of {held['rows']} rows, a tenth of each block, on which the model was not trained. The baseline looks at "
            f"no column: {'the most frequent class' if summary['task'] == 'classification' else 'the mean'}."),
    ]
    return page.section("How good it is", "\n".join(parts), wide=True)


def _columns(encoder):
    columns, most = encoder.columns_, _report.MOST_COLUMNS
    rows = [[shortened(c["name"], 80), c["kind"], shortened(c["reason"] or "", 160)] for c in columns[:most]]
    more = len(columns) - len(rows)
    body = page.table(["column", "taken for", "because"], rows, left=3)
    return page.section("Columns", body + (page.note(f"And {more} more.") if more else ""), wide=True)
