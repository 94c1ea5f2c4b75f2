"""The report of a fit in blocks as one HTML file: what a pass over the rows that were held out tells."""

from fasttrain.cli import _page as page
from fasttrain.cli._report import MOST_COLUMNS, pictures, rows_read, titled_page, training, weights
from fasttrain.cli._screen import score_of, shortened


def report(outcome):
    """The HTML of what ``fasttrain fit`` has found in blocks.

    Parameters
    ----------
    outcome : fasttrain.cli._streaming.Outcome

    Returns
    -------
    str
    """
    summary = outcome.summary
    return titled_page(
        summary, f"{summary['rows']['left']} rows in {summary['blocks']} blocks",
        [_scores(summary), rows_read(summary), *pictures(outcome), training(outcome),
         weights(outcome.weights, outcome.scaling) if outcome.weights else None, _columns(outcome.columns),
         _repeat(summary)])


def _scores(summary):
    held = summary["held_out"]
    if held is None:
        body = page.note("No rows were held out: nothing here says how good the model is on new rows.")
        return page.section("How good it is", body, wide=True)
    first = next(iter(held["scores"]))
    parts = [
        page.figures([(score_of(held["scores"][first]), first), (score_of(held["baseline"][first]), "baseline")]),
        page.table(["metric", "held out", "baseline"], [
            [label, score_of(score), score_of(held["baseline"][label])] for label, score in held["scores"].items()]),
        page.note(
            f"Of {held['rows']} rows, a tenth of each block, on which the model was not trained. The baseline looks at "
            f"no column: {'the most frequent class' if summary['task'] == 'classification' else 'the mean'}."),
    ]
    return page.section("How good it is", "\n".join(parts), wide=True)


def _columns(columns):
    rows = [[shortened(c["name"], 80), c["kind"], shortened(c["reason"] or "", 160)] for c in columns[:MOST_COLUMNS]]
    more = len(columns) - len(rows)
    body = page.table(["column", "taken for", "because"], rows, left=3)
    return page.section("Columns", body + (page.note(f"And {more} more.") if more else ""), wide=True)


def _repeat(summary):
    told = ", ".join(f"{name} {value}" for name, value in summary["versions"].items())
    command = page.code(summary["command"]) if summary["command"] else ""
    return page.section("Do it again", f"{command}\n{page.note(told)}", wide=True)
