"""Run a Python script with scikit-learn's estimators answered by fasttrain."""

import argparse

NEEDED = ()


def add_options(parser):
    """The command's options."""
    parser.add_argument("script", metavar="SCRIPT")
    parser.add_argument("arguments_of_script", nargs=argparse.REMAINDER, metavar="...",
                        help="the script's own arguments")
    parser.epilog = (
        "scikit-learn's SGD estimators, perceptrons, scalers, encoders and model-selection functions are replaced; the "
        "logger 'fasttrain' tells what went to scikit-learn after all. fasttrain bench --script measures the gain."
    )


def run(options, interrupts):
    """Do it."""
    from fasttrain.patch import run_script

    run_script(options.script, options.arguments_of_script)
