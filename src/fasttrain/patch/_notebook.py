"""``%load_ext fasttrain``: the patch, and what became of the calls, in IPython and Jupyter."""

from fasttrain.patch import _account, patch_sklearn, start_account, unpatch_sklearn


def load(shell):
    """Patch scikit-learn and keep an account, which ``%fasttrain`` prints (``%fasttrain lines`` by the lines of cells,
    ``%fasttrain reset`` begins a new one)."""
    patch_sklearn()
    start_account()
    shell.register_magic_function(_magic, "line", "fasttrain")


def unload(shell):
    """Undo it."""
    unpatch_sklearn()
    _account.stop()


def _magic(line):
    """What became of the calls of scikit-learn's replaced classes and functions."""
    asked = line.strip()
    if asked not in ("", "lines", "reset"):
        raise ValueError(f"%fasttrain takes nothing, 'lines' or 'reset', got {asked!r}")
    if asked == "reset":
        start_account()
    else:
        print(_account.current().summary(by_line=asked == "lines"))
