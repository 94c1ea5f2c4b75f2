"""Write a sample table, the Palmer penguins, to try the other commands on."""

import sys
from importlib.resources import files

from fasttrain.cli import _options
from fasttrain.cli._parser import path

NEEDED = ()


def add_options(parser):
    """The command's options."""
    parser.add_argument("--out", type=path, metavar="FILE", help="standard output when left out")


def sample_file():
    """The sample table as it lies in the package.

    Body measurements of 344 penguins of three species by Kristen Gorman and the Palmer Station LTER, as the
    palmerpenguins package of Allison Horst, Alison Hill and Kristen Gorman publishes them, in the public domain (CC0).
    """
    return files("fasttrain.cli") / "sample" / "penguins.csv"


def run(options, interrupts):
    """Do it."""
    text = sample_file().read_text(encoding="utf-8")
    if options.out is None:
        sys.stdout.write(text)
    else:
        from fasttrain._files.atomic import write_file

        _options.require_file(options.out)
        write_file(options.out, text.encode())
