"""Run a Python script with scikit-learn's estimators answered by fasttrain."""

import argparse
import textwrap

NEEDED = ()


def add_options(parser):
    """The command's options."""
    parser.add_argument("-v", "--verbose", action="store_true", help=(
        "say at the end how many calls were accelerated, which scikit-learn served and why, and how long they took"))
    parser.add_argument("--profile", action="store_true", help="the same by the lines of the script")
    parser.add_argument("script", metavar="SCRIPT")
    parser.add_argument("arguments_of_script", nargs=argparse.REMAINDER, metavar="...",
                        help="the script's own arguments")
    # the list takes scikit-learn, which the other commands' help should not wait for
    short = parser.format_help
    parser.formatter_class = argparse.RawDescriptionHelpFormatter

    def format_help():
        parser.epilog = _replaced()
        return short()

    parser.format_help = format_help


def _replaced():
    from fasttrain.patch import replaced_names

    lines = ["Replaced are"]
    for package, names in replaced_names().items():
        lines += textwrap.wrap(f"sklearn.{package}: {', '.join(names)}", 100, initial_indent="  ",
                               subsequent_indent="    ")
    return "\n".join([*lines, "", "What fasttrain refuses goes to scikit-learn, with a line on standard error.",
                      "fasttrain bench --script measures the gain."])


def run(options, interrupts):
    """Do it."""
    from fasttrain.patch import run_script

    run_script(
        options.script, options.arguments_of_script, verbose=options.verbose and not options.profile,
        profile=options.profile)
