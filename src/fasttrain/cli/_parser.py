"""Options of the command line: a parser that complains in one line, and the types that options share."""

import argparse
import difflib
import importlib
import re
from pathlib import Path

from fasttrain import __version__

COMMANDS = ("fit", "predict", "info", "compare", "search", "sample", "bench", "demo", "patch")


class Parser(argparse.ArgumentParser):
    """A parser whose complaints are ValueErrors: the caller decides how to say them."""

    def __init__(self, *args, **options):
        super().__init__(*args, allow_abbrev=False, formatter_class=_Formatter, **options)

    @property
    def names(self):
        """The long names of all options."""
        return ["--help", *re.findall(r"--[a-z][a-z0-9-]*", self.format_usage())]

    def error(self, message):
        raise ValueError(re.sub(r"^argument (\S+): ", r"\1 ", message))


class _Formatter(argparse.HelpFormatter):
    def __init__(self, prog):
        super().__init__(prog, max_help_position=28, width=80)


def parser_of_all():
    """(the parser of ``fasttrain``, the parsers of its commands by name)."""
    parser = Parser("fasttrain", description="Tables to models, on a CPU, with compiled kernels.")
    parser.add_argument("--version", action="version", version=f"fasttrain {__version__}")
    parts = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    found = {}
    for name in COMMANDS:
        module = module_of(name)
        summary = module.__doc__.partition("\n")[0]
        found[name] = parts.add_parser(name, help=summary[0].lower() + summary[1:-1], description=summary)
        module.add_options(found[name])
    return parser, found


def module_of(command):
    """The module of a command: ``add_options(parser)``, ``run(options, interrupts)``, ``NEEDED`` packages."""
    return importlib.import_module(f"fasttrain.cli.commands.{command}")


def parse(arguments):
    """The options that ``arguments`` hold.

    Raises
    ------
    ValueError
        For what no command takes; the message names the nearest option or command.
    """
    parser, found = parser_of_all()
    if arguments and not arguments[0].startswith("-") and arguments[0] not in COMMANDS:
        raise ValueError(f"there is no command {arguments[0]!r}{_near(arguments[0], COMMANDS)}; "
                         f"the commands are {', '.join(COMMANDS)}")
    if arguments and arguments[0] in COMMANDS and arguments[0] != "patch":
        # before argparse, which would rather miss a required option than name one that is misspelled
        command = arguments[0]
        for name in (text.partition("=")[0] for text in arguments[1:] if text.startswith("--")):
            if name == "--script":
                # what follows is not for this parser
                break
            if name not in found[command].names:
                raise ValueError(f"{command} has no option {name!r}{_near(name, found[command].names)}; "
                                 f"fasttrain {command} --help lists them")
    return parser.parse_args(arguments)


def _near(name, known):
    near = difflib.get_close_matches(name, known, 1)
    return f"; did you mean {near[0]!r}?" if near else ""


def one_of(*names):
    """A type of options: one of these names."""

    def convert(text):
        if text not in names:
            raise argparse.ArgumentTypeError(f"must be one of {', '.join(names)}, got {text!r}{_near(text, names)}")
        return text

    return convert


def integer(text):
    """A type of options: a whole number."""
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a whole number, got {text!r}") from None


def number(text):
    """A type of options: a number."""
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a number, got {text!r}") from None


def batch_size(text):
    """A type of options: 'auto', 'full' or a number of rows."""
    if text in ("auto", "full"):
        return text
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be 'auto', 'full' or a whole number, got {text!r}") from None


def list_of(convert, what):
    """A type of options: values with commas between them."""

    def convert_all(text):
        try:
            return tuple(convert(part) for part in text.split(",")) if text else ()
        except ValueError:
            raise argparse.ArgumentTypeError(f"must be {what} with commas between them, got {text!r}") from None

    return convert_all


def duration(text):
    """A type of options: seconds, or a number with s, m or h behind it."""
    match = re.fullmatch(r"(\d+(?:\.\d*)?|\.\d+)\s*(s|m|min|h)?", text.strip())
    seconds = float(match[1]) * {None: 1, "s": 1, "m": 60, "min": 60, "h": 3600}[match[2]] if match else 0
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a time such as 60s, 5m or 1h, got {text!r}")
    return seconds


def separator(text):
    """A type of options: what stands between the cells of a line."""
    text = {"tab": "\t", "\\t": "\t"}.get(text, text)
    if len(text) != 1 or text in '"\r\n\0':
        raise argparse.ArgumentTypeError(f"must be one character or 'tab', got {text!r}")
    return text


path = Path
