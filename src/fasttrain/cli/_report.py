"""The report of a fit as one HTML file."""

from fasttrain.cli import _charts as charts
from fasttrain.cli import _evaluation as evaluation
from fasttrain.cli import _page as page
from fasttrain.cli._screen import score_of, seconds_of, shortened
from fasttrain.cli._snippet import snippet

MOST_COLUMNS = 60


def report(outcome):
    """The HTML of what ``fasttrain fit`` has found.

    Parameters
    ----------
    outcome : fasttrain.cli._fitting.Outcome

    Returns
    -------
    str
    """
    summary = outcome.summary
    return titled_page(
        summary, f"{summary['rows']['left']} rows, {len(summary['columns'])} columns",
        [scores(summary), rows_read(summary), *pictures(outcome), training(outcome), insight(outcome),
         _columns(summary), repeat(summary, snippet(outcome))])


def titled_page(summary, size, sections):
    """The HTML of a report's sections below what was fitted, to which data of what size, and whether it has arrived."""
    final = summary["final_fit"]
    alarms = [] if final["converged"] else [
        f"Not converged: the final fit ended after {final['passes']} passes before it had arrived; {final['hint']}."
    ]
    return page.page(
        f"{summary['target']}: {summary['model']} {summary['task']}", f"{summary['data']}, {size}",
        [*map(page.warning, alarms), page.grid(sections)])


def scores(summary):
    """The scores of the folds and of the test file, beside the baseline's."""
    found, tested = summary["cross_validation"], summary["test"]
    parts = []
    if found["scores"]:
        pooled = found["method"] == "leave-one-out"
        first = next(iter(found["scores"]))
        score = found["scores"][first]
        big = [(score_of(score['mean']), first if pooled else f"{first}, ± {score_of(score['std'])}"),
               (score_of(found['baseline'][first]['mean']), "baseline")]
        if tested:
            big.append((score_of(tested['scores'][first]), "test file"))
        parts.append(page.figures(big))
        n = 0 if pooled else len(score["of_folds"])
        headings = ["metric", "mean", *(["spread", *(f"fold {k + 1}" for k in range(n))] if n and n <= 10 else []),
                    "baseline", *(["test"] if tested else [])]
        rows = []
        for label, score in found["scores"].items():
            row = [label, score_of(score['mean'])]
            if n and n <= 10:
                row += [score_of(score['std']), *(score_of(value) for value in score["of_folds"])]
            row.append(score_of(found['baseline'][label]['mean']))
            rows.append([*row, *([score_of(tested['scores'][label])] if tested else [])])
        parts.append(page.table(headings, rows))
        parts.append(page.note(
            f"{found['method']}, {found['folds']} folds; encoding and scaling are learnt anew in each. The baseline "
            f"looks at no column: {'the most frequent class' if summary['task'] == 'classification' else 'the mean'}."
        ))
    elif tested:
        parts.append(page.table(["metric", "test"], [[k, score_of(v)] for k, v in tested["scores"].items()]))
    else:
        parts.append(page.note("No rows were held out: nothing here says how good the model is on new rows."))
    return page.section("How good it is", "\n".join(parts), wide=True)


def rows_read(summary):
    """How many rows were read, and how many went for which reason."""
    rows = [[what, str(n)] for what, n in summary["rows"].items()]
    left_out = [page.note(f"Left out: {'; '.join(summary['left_out'])}")] if summary["left_out"] else []
    digest = [page.note(f"SHA-256 of the file: {summary['sha256']}")] if summary["sha256"] else []
    return page.section("Rows", "\n".join([page.table(["rows", "count"], rows), *left_out, *digest]))


def pictures(outcome):
    """What the model says of rows that were held out, drawn."""
    held = outcome.held_out
    if held is None:
        return
    of = f"Of {held.where}."
    if outcome.summary["task"] == "regression":
        body = charts.cloud(*evaluation.residuals(held), "prediction", "residual (true minus predicted)")
        yield page.section("Residuals", body + page.note(of))
        return
    labels, counts = evaluation.confusion(held)
    yield page.section("Confusion", page.confusion(labels, counts) + page.note(f"Rows are the true classes. {of}"))
    square = ((0, 1), (0, 1))
    found = evaluation.calibration(held)
    if found is not None:
        what, means, shares = found
        curve = [("", means, shares)]
        body = charts.lines(curve, what, "share that was right", limits=square, diagonal=True, dots=True)
        yield page.section("Calibration", body + page.note("On the broken line, probabilities are what they say."))
    found = evaluation.precision_recall(held)
    if found is not None:
        positive, recall, precision, average = found
        body = charts.lines([("", recall, precision)], "recall", "precision", limits=square)
        yield page.section(f"Precision and recall of {positive}", body + page.note(f"Average precision {average:.4f}."))


def training(outcome):
    """The loss by passes, and how training ended."""
    final = outcome.summary["final_fit"]
    curves = [(name, range(1, len(curve) + 1), curve) for name, curve in outcome.curves.items() if len(curve) > 1]
    parts = [charts.lines(curves, "pass over the data", "loss", log=True)] if curves else []
    loss = "" if final["loss"] is None else f", loss {final['loss']:.6g}"
    scaled = " of the target scaled to variance 1" if outcome.summary["target_scaled"] and loss else ""
    state = "converged" if final["converged"] else "not converged"
    parts.append(page.note(f"{final['passes']} passes in {seconds_of(final['seconds'])}, {state}{loss}{scaled}."))
    return page.section("Training", "\n".join(parts))


def insight(outcome):
    """What the model looks at: its largest weights, or what a shuffled column costs; None where neither is known."""
    if outcome.weights:
        scaling = outcome.job.scaling
        rows = [(f"{name} → {label}" if label else name, weight, None) for name, label, weight in outcome.weights]
        said = "of columns as they are" if scaling == "none" else f"of columns after {scaling} scaling"
        return page.section(
            "Largest weights", charts.bars(rows, "largest weights") + page.note(f"Weights {said}."))
    if outcome.importances:
        metric = next(iter(evaluation.METRICS[outcome.summary["task"]].values()))[0]
        body = charts.bars([(name, mean, spread) for name, mean, spread in outcome.importances[:15]], "importances")
        return page.section("Importance", body + page.note(
            f"What {metric} loses when the column's values are shuffled: mean and spread of five shuffles of at most "
            f"{evaluation.ROWS_PERMUTED} {outcome.importances_of}."
        ))
    return None


def _columns(summary):
    rows = [
        [shortened(c["name"], 80), c["kind"], shortened(c["example"], 120), str(c["distinct"]), str(c["missing"])]
        for c in summary["columns"][:MOST_COLUMNS]
    ]
    more = len(summary["columns"]) - len(rows)
    body = page.table(["column", "taken for", "range, or most frequent values", "distinct", "missing"], rows, left=3)
    return page.section("Columns", body + (page.note(f"And {more} more.") if more else ""), wide=True)


def repeat(summary, script):
    """The command, the same in Python, and versions."""
    told = ", ".join(f"{name} {value}" for name, value in summary["versions"].items())
    command = page.code(summary["command"]) if summary["command"] else ""
    body = f"{command}\n{page.note('The same in Python:')}\n{page.code(script)}\n{page.note(told)}"
    return page.section("Do it again", body, wide=True)
