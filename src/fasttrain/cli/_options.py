"""Options that several commands share, and the job they make."""

import os
import shlex
from pathlib import Path

from fasttrain import activations, losses, optimizers, penalties, schedules
from fasttrain.cli._parser import batch_size, integer, list_of, number, one_of, separator
from fasttrain.cli._parser import path as a_path

SETTINGS = (
    "loss", "optimizer", "learning_rate", "schedule", "penalty", "alpha", "l1_ratio", "batch_size", "max_iter", "tol",
    "early_stopping", "hidden", "activation", "dropout", "batch_norm",
)  # fmt: skip


def names(module):
    """The names of a vocabulary, for help."""
    return ", ".join(module.names())


def add_reading(parser):
    """How a file is read."""
    group = parser.add_argument_group("reading")
    group.add_argument("--sep", type=separator, metavar="CHAR",
                       help="between cells: one character, or 'tab'; by the file's name when left out")
    group.add_argument("--encoding", metavar="NAME", help="of text files, such as latin-1; utf-8 when left out")
    return group


def add_stream(parser):
    """Whether the table is read in blocks."""
    parser.add_argument("--stream", action="store_true",
                        help="read the table in blocks, one after the other, as is done anyway with a folder of files "
                             "and with a file that memory would not hold as a whole; needs pyarrow")


def add_table(parser, folders=False):
    """The table, with ``folders`` also one in several files, and what is done to it before training."""
    also = "folder of CSV or Parquet files, " if folders else ""
    parser.add_argument("data", type=a_path, metavar="DATA",
                        help=f"CSV or TSV file (.gz too), Parquet file, {also}or - for standard input")
    parser.add_argument("--target", required=True, metavar="NAME", help="column to predict")
    parser.add_argument("--task", type=one_of("auto", "classification", "regression"), default="auto", metavar="TASK",
                        help="auto (by the target), classification or regression")
    group = add_reading(parser)
    group.add_argument("--leave-out", action="append", default=[], metavar="NAME",
                       help="column that is no feature; may be repeated")
    group.add_argument("--categorical", action="append", default=[], metavar="NAME",
                       help="numeric column that holds categories; may be repeated")
    group.add_argument("--column", action="append", default=[], metavar="NAME=KIND", dest="columns",
                       help="what a column is where it is recognised as something else: numeric[:decimal-comma], "
                       "boolean, date[:day-first], categorical, ordered:LOW,...,HIGH, target, hashed, text, drop; may "
                       "be repeated")
    group = parser.add_argument_group("cleaning")
    group.add_argument("--drop-missing", action="store_true", help="drop rows with missing values")
    group.add_argument("--impute", action="store_true", help="fill them: median, or most frequent category")
    group.add_argument("--drop-duplicates", action="store_true", help="drop rows that repeat another")
    group.add_argument("--outliers", type=one_of("absolute", "zscore", "iqr", "mad"), metavar="METHOD",
                       help="drop rows with outliers: absolute, zscore, iqr or mad")
    group.add_argument("--threshold", type=number, metavar="X", help="for --outliers; the method's own when left out")
    group.add_argument("--scaling", type=one_of("standard", "minmax", "none"), default="standard", metavar="HOW",
                       help="standard, minmax or none")


def add_folds(parser, blocks=None):
    """How the model is judged; ``blocks`` says what of tables in blocks."""
    group = parser.add_argument_group("validation")
    group.add_argument("--cv", type=integer, dest="folds", metavar="K",
                       help=blocks or "folds; 0 for none (default 5)")
    group.add_argument("--seed", type=integer, default=0, metavar="N", help="of folds, weights and orders (default 0)")
    return group


def add_settings(parser):
    """The model and how it is trained."""
    group = parser.add_argument_group("model")
    group.add_argument("--model", type=one_of("auto", "linear", "sgd", "mlp"), default="auto", metavar="MODEL",
                       help="linear, sgd, mlp, or auto: mlp where --hidden, --activation, --dropout or --batch-norm is "
                            "given, else linear")
    group.add_argument("--hidden", type=list_of(int, "whole numbers"), metavar="N,N",
                       help="mlp: units of the hidden layers (default 100)")
    group.add_argument("--activation", metavar="NAME", help=f"mlp: {names(activations)}")
    group.add_argument("--dropout", type=number, metavar="P", help="mlp: share of hidden units left out of a step")
    group.add_argument("--batch-norm", nargs="?", const="before", type=one_of("before", "after"), metavar="WHERE",
                       help="mlp: batch normalization before (or after) the activations")
    group.add_argument("--loss", metavar="NAME", help=f"of {names(losses)}")
    group.add_argument("--optimizer", metavar="NAME", help=f"auto (L-BFGS where it serves) or {names(optimizers)}")
    group.add_argument("--learning-rate", type=number, metavar="X", help="of the optimizer")
    group.add_argument("--schedule", metavar="NAME",
                       help=f"one of {names(schedules)}; for sgd constant, optimal, invscaling or adaptive")
    group.add_argument("--penalty", metavar="NAME", help=f"auto (as Ridge, LogisticRegression) or {names(penalties)}")
    group.add_argument("--alpha", type=number, metavar="X", help="strength of the penalty")
    group.add_argument("--l1-ratio", type=number, metavar="X", help="share of L1 in elasticnet")
    group.add_argument("--batch-size", type=batch_size, metavar="N", help="rows of a step, 'auto' or 'full'")
    group.add_argument("--max-iter", type=integer, metavar="N", help="most passes over the data")
    group.add_argument("--tol", type=number, metavar="X", help="improvement of the loss that is too small to go on")
    group.add_argument("--early-stopping", action="store_true", default=None,
                       help="stop by the loss on held-out rows")
    group.add_argument("--threads", type=integer, metavar="N", help="threads at most")


def job_of(options):
    """The job that the options describe.

    Raises
    ------
    ValueError
        For options that exclude each other.
    """
    from fasttrain.cli._job import Job

    if options.drop_missing and options.impute:
        raise ValueError("--drop-missing and --impute exclude each other: pass one of them")
    if options.threshold is not None and options.outliers is None:
        raise ValueError("--threshold is for --outliers: pass both or neither")
    settings = {name: getattr(options, name, None) for name in SETTINGS}
    return Job(
        options.data, options.target, options.sep, options.encoding or "utf-8", tuple(options.leave_out),
        tuple(options.categorical), options.drop_missing, options.impute, options.drop_duplicates, options.outliers,
        options.threshold, options.scaling, getattr(options, "model", "auto"), options.task, options.folds,
        getattr(options, "leave_one_out", False), getattr(options, "test", None), options.seed,
        {**settings, "n_threads": getattr(options, "threads", None)}, tuple(options.columns),
    )  # fmt: skip


def command_of(options):
    """What was typed."""
    return shlex.join(["fasttrain", *map(str, options.arguments)])


def folder_for(out, data):
    """The folder for a model: ``out``, else one named after the data; it can be written to.

    Raises
    ------
    ValueError
        When it is a file, or nothing can be written there.
    """
    if out is None:
        name = Path(data).name
        while Path(name).suffix.lower() in (".gz", ".csv", ".tsv", ".tab", ".txt", ".parquet", ".pq"):
            name = Path(name).stem
        out = Path(f"{name}-model" if name != "-" else "model")
    require_folder(out)
    return out


def require_folder(path):
    """Before any work is done: whether ``path`` is a folder, or can be made one."""
    there = next(folder for folder in (path.absolute(), *path.absolute().parents) if folder.exists())
    if not there.is_dir():
        raise ValueError(f"{there} is a file; --out needs a folder")
    if not os.access(there, os.W_OK | os.X_OK):
        raise ValueError(f"the folder {there} cannot be written to")


def require_file(path, option="--out"):
    """Before any work is done: whether a file can be put at ``path``."""
    if path.is_dir():
        raise ValueError(f"{path} is a folder; {option} needs a file")
    if not path.absolute().parent.is_dir():
        raise ValueError(f"the folder {path.parent} does not exist")
