"""Clean, encode, scale, train and cross-validate four real tables, beside NumPy and scikit-learn."""

from pathlib import Path

from fasttrain.cli import _options
from fasttrain.cli._parser import path

NEEDED = ("pandas",)


def add_options(parser):
    """The command's options."""
    parser.add_argument("--out", type=path, default=Path("demo-output"), metavar="DIR",
                        help="folder for the results (default demo-output)")
    parser.add_argument("--full", action="store_true", help="every comparison on the terminal as well")


def run(options, interrupts):
    """Do it."""
    _options.require_folder(options.out)
    from fasttrain.cli import demo

    demo.run(options.out, interrupts.check, options.full)
