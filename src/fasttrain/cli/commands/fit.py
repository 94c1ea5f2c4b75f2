"""Fit a model to a table, cross-validate it, save it with a report."""

import sys
from collections import Counter

from fasttrain.cli import _options, _screen
from fasttrain.cli._parser import path

NEEDED = ("pandas",)


def add_options(parser):
    """The command's options."""
    _options.add_table(parser, folders=True)
    parser.add_argument("--out", type=path, metavar="DIR",
                        help="folder for the model, results.json and report.html; DATA-model when left out")
    group = _options.add_folds(
        parser, "folds; 0 for none (default 5; of a table that is read in blocks, a tenth of each is held out instead)")
    group.add_argument("--leave-one-out", action="store_true", help="one fold for each row")
    group.add_argument("--test", type=path, metavar="FILE", help="score the model on the rows of this file as well")
    _options.add_settings(parser)
    _options.add_stream(parser)


def run(options, interrupts):
    """Do it."""
    job = _options.job_of(options)
    out = _options.folder_for(options.out, options.data)
    from fasttrain.cli import _streaming

    if _streaming.is_wanted(options):
        from fasttrain.cli import _stream_fitting

        with _screen.progress() as bar:
            outcome = _stream_fitting.run(job, interrupts, bar.update, _options.command_of(options))
        show_streamed(outcome, out, _stream_fitting.write(outcome, out))
        return
    if options.test is not None and not options.test.is_file():
        raise ValueError(f"{options.test} is not a file")
    from fasttrain.cli import _fitting

    with _screen.progress() as bar:
        outcome = _fitting.run(job, interrupts, bar.update, _options.command_of(options))
    names = _fitting.write(outcome, out)
    show(outcome, out, names)


def show_streamed(outcome, out, names):
    """The result on the terminal of a fit in blocks."""
    summary = outcome.summary
    print(f"{summary['rows']['read']} rows in {_screen.counted(summary['blocks'], 'block')}, read one after the other")
    if len(summary["rows"]) > 2:
        print(", ".join(f"{n} rows {what}" for what, n in summary["rows"].items()))
    for line in summary["left_out"]:
        print(_screen.printable(line))
    print(f"{summary['model']} {summary['task']} of {_screen.printable(repr(summary['target']))}")
    held, tested = summary["held_out"], summary["test"]
    if held is None:
        _show_scores(summary)
    else:
        print(f"Held out: {held['rows']} rows, drawn from each block")
        _screen.show_table(["metric", "score", "baseline", *(["test"] if tested else [])], [
            [label, _screen.score_of(score), _screen.score_of(held["baseline"][label]),
             *([_screen.score_of(tested["scores"][label])] if tested else [])]
            for label, score in held["scores"].items()
        ])
    _show_end(outcome, out, names)


def show(outcome, out, names):
    """The result on the terminal: what the data were, the scores, where the files are, and whether training arrived."""
    summary = outcome.summary
    print(", ".join(f"{n} rows {what}" for what, n in summary["rows"].items()))
    for line in summary["left_out"]:
        print(_screen.printable(line))
    counts = Counter(fact["kind"] for fact in summary["columns"] if fact["kind"] != "drop")
    kinds = ", ".join(f"{count} {kind}" for kind, count in counts.items())
    print(f"{summary['model']} {summary['task']} of {_screen.printable(repr(summary['target']))} from {kinds} columns")
    _show_scores(summary)
    _show_end(outcome, out, names)


def _show_scores(summary):
    found, tested = summary["cross_validation"], summary["test"]
    if found["folds"]:
        pooled = found["method"] == "leave-one-out"
        print(f"Cross-validation: {found['method']}, {found['folds']} folds")
        headings = ["metric", "score", *([] if pooled else ["spread"]), "baseline", *(["test"] if tested else [])]
        rows = [
            [label, _screen.score_of(score['mean']), *([] if pooled else [_screen.score_of(score['std'])]),
             _screen.score_of(found['baseline'][label]['mean']),
             *([_screen.score_of(tested['scores'][label])] if tested else [])]
            for label, score in found["scores"].items()
        ]
        _screen.show_table(headings, rows)
    elif tested:
        rows = [[label, _screen.score_of(score)] for label, score in tested["scores"].items()]
        _screen.show_table(["metric", "test"], rows)


def _show_end(outcome, out, names):
    """What the model looks at, how training ended, and where the files are."""
    for title, entries in (("Largest weights", outcome.weights), ("Importance", outcome.importances)):
        if entries:
            told = [
                f"{_screen.shortened(entry[0], 30)} {(entry[2] if title == 'Largest weights' else entry[1]):.3g}"
                for entry in entries[:5]
            ]
            print(f"{title}: {', '.join(told)}")
    final = outcome.summary["final_fit"]
    loss = "" if final["loss"] is None else f", loss {final['loss']:.6g}"
    print(f"Final fit: {final['passes']} passes{loss}, {_screen.seconds_of(final['seconds'])}")
    for message in outcome.messages:
        print(f"warning: {message}", file=sys.stderr)
    print(f"Written to {out}: {', '.join(names)}")
    if not final["converged"]:
        print(f"NOT CONVERGED after {final['passes']} passes: {final['hint']}")
