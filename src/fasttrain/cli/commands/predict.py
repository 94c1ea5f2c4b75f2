"""Predict the rows of a table with a saved model."""

import sys

from fasttrain.cli import _options, _screen
from fasttrain.cli._parser import one_of, path

NEEDED = ("pandas",)


def add_options(parser):
    """The command's options."""
    parser.add_argument("folder", type=path, metavar="MODEL", help="folder that fasttrain fit has written")
    parser.add_argument("data", type=path, metavar="DATA", help="as for fit; columns are found by their names")
    parser.add_argument("--out", type=path, metavar="FILE", help="CSV file; standard output when left out")
    parser.add_argument("--proba", action="store_true", help="a column with the probability of each class as well")
    parser.add_argument("--unknown", type=one_of("error", "ignore"), default="error", metavar="HOW",
                        help="error: refuse categories that the training has not seen; ignore: take them as none of "
                             "the known ones (default error)")
    parser.add_argument("--missing", type=one_of("error", "empty"), default="error", metavar="HOW",
                        help="error: refuse missing values that the model has no stand-in for; empty: leave the "
                             "predictions of such rows empty (default error)")
    parser.add_argument("--safe-csv", action="store_true",
                        help="an apostrophe before texts that a spreadsheet would take for a formula: those that begin "
                             "with =, +, -, @, a tab or a carriage return")
    _options.add_reading(parser)
    _options.add_stream(parser)


def run(options, interrupts):
    """Do it."""
    from fasttrain._files.atomic import write_file
    from fasttrain.cli._predicting import predict, without_formulas

    if options.out is not None:
        _options.require_file(options.out)
    from fasttrain.cli import _streaming

    if _streaming.is_wanted(options):
        _streaming.predict(options, interrupts)
        return
    found = predict(
        options.folder, options.data, options.unknown, options.missing, options.proba, options.sep, options.encoding,
        tell=lambda line: print(f"note: {_screen.shortened(line, 2000)}", file=sys.stderr),
    )
    interrupts.check()
    if options.safe_csv:
        found = without_formulas(found)
    text = found.to_csv(index=False)
    if options.out is None:
        sys.stdout.write(text)
    else:
        write_file(options.out, text.encode())
