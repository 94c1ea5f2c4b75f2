"""scikit-learn's names, answered by fasttrain: for a whole script, without a change to it.

:func:`patch_sklearn` puts fasttrain's estimators and model-selection functions in the place of scikit-learn's, under
the same names; :func:`unpatch_sklearn` undoes it; :func:`patched` does both around a block. From the command line:
``python -m fasttrain patch script.py``, and ``pytest -p fasttrain.patch``.

What fasttrain refuses, a parameter or an input, goes to scikit-learn's class with a line on the logger ``fasttrain``:
answers and errors are scikit-learn's. Pickles of patched objects name this module;
:func:`fasttrain.interop.to_sklearn` gives objects that need no fasttrain.

What is replaced stands in the entries of the estimators (:mod:`fasttrain._estimators.registry`); ``_replacements``
makes the classes and functions that stand in.

Examples
--------
>>> import fasttrain
>>> with fasttrain.patched():
...     from sklearn.preprocessing import StandardScaler
...     scaler = StandardScaler().fit([[1.0], [3.0]])
>>> scaler.mean_, isinstance(scaler, fasttrain.preprocessing.StandardScaler)
(array([2.]), True)
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
import types
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

# While scikit-learn's names are its own: the packages of all that is replaced.
from fasttrain._core.types import PathLike
from fasttrain.interop import _mlflow, _onnx
from fasttrain._estimators.registry import entries, functions
from fasttrain.patch import _account
from fasttrain.patch._replacements import replacement, replacement_class, replacement_function

__all__ = ["patch_sklearn", "patched", "replaced_names", "run_script", "start_account", "unpatch_sklearn"]

logger: logging.Logger = logging.getLogger("fasttrain")


_lock = threading.RLock()
# From the name of scikit-learn's package and of what is replaced to (original, replacement).
_made = {}
# What stands in scikit-learn's place now: from the id of an original to (original, replacement).
_active = {}


def _package_of(original):
    """The package of scikit-learn that offers a class or function."""
    return original.__module__.split(".")[1]


def _replacements():
    """:data:`_made`, with a replacement for what has been entered since."""
    for entry in entries():
        if entry.replaces is None or (_package_of(entry.stock), entry.stock.__name__) in _made:
            continue
        make = replacement_class if entry.holds_estimators else replacement
        name = entry.stock.__name__
        _keep(entry.stock, make(name, entry.cls, entry.stock, __name__, **entry.replaces))
    for function, (stock, choose) in functions().items():
        if (_package_of(stock), stock.__name__) not in _made:
            _keep(stock, replacement_function(stock.__name__, function, stock, __name__, choose))
    return _made


def _keep(stock, new):
    _made[_package_of(stock), stock.__name__] = stock, new
    # where pickles of its objects look
    globals()[stock.__name__] = new


def _is_public(name):
    return not any(part.startswith("_") for part in name.split("."))


def _may_change(module_name, original):
    """Whether a module's reference to ``original`` is to be replaced.

    The module that defines it keeps it, for pickles are looked up there. Other modules of scikit-learn keep classes, so
    that what scikit-learn's own models are made of, and their pickles with it, is scikit-learn's.
    """
    top, *rest = module_name.split(".")
    if top == "fasttrain" or module_name == original.__module__:
        return False
    if top != "sklearn" or "tests" in rest:
        return True
    return not isinstance(original, type) or (len(rest) == 1 and rest[0] in {package for package, _ in _made})


def _swap(table, allowed):
    """Replace references in the namespaces of all loaded modules; {module: [names]} of what was changed."""
    changed = {}
    for module_name, module in list(sys.modules.items()):
        if not isinstance(module, types.ModuleType):
            continue
        namespace = vars(module)
        for name, value in list(namespace.items()):
            found = table.get(id(value))
            if found is not None and found[0] is value and allowed(module_name, found):
                namespace[name] = found[1]
                changed.setdefault(module_name, []).append(name)
    return {name: sorted(names) for name, names in sorted(changed.items())}


def patch_sklearn(names: Sequence[str] | None = None) -> dict[str, list[str]]:
    """Put fasttrain's estimators and functions in the place of scikit-learn's.

    In scikit-learn's packages and in every loaded module that had imported one of them, under whatever name; modules
    that are loaded later find them in scikit-learn. Objects that exist, and classes derived from scikit-learn's, stay
    what they are.

    Parameters
    ----------
    names : list of str, default=None
        What to replace; None stands for everything: of linear_model and svm SGDClassifier, SGDRegressor,
        LinearRegression, Ridge, RidgeClassifier, Lasso, ElasticNet, MultiTaskLasso, MultiTaskElasticNet,
        LogisticRegression, the CV classes of these, lasso_path, enet_path, PoissonRegressor, GammaRegressor,
        TweedieRegressor, HuberRegressor, LinearSVC and LinearSVR; MLPClassifier and MLPRegressor; StandardScaler,
        MinMaxScaler, MaxAbsScaler, RobustScaler, OneHotEncoder, OrdinalEncoder, LabelEncoder and LabelBinarizer; and
        of model_selection what fasttrain has.

    Returns
    -------
    dict of str to list of str
        The names replaced, by module. Empty where all was done before. Also in a line on the logger ``fasttrain``.

    Raises
    ------
    ValueError
        For a name that is not replaced.
    """
    with _lock:
        made = dict(_replacements())
    known = {name for _, name in made}
    unknown = sorted(set(names or ()) - known)
    if isinstance(names, str) or unknown:
        raise ValueError(f"names must be a list of some of {sorted(known)}, got {names!r}")
    with _lock:
        table = {
            id(stock): (stock, new) for (_, name), (stock, new) in made.items() if names is None or name in names
        }
        changed = _swap(table, lambda module, pair: _may_change(module, pair[0]))
        _active.update(table)
    _onnx.on_import(_exported, _not_patched)
    if changed:
        _mlflow.log_again()
        logger.info("scikit-learn is patched: %s", "; ".join(f"{m}: {', '.join(n)}" for m, n in changed.items()))
    return changed


def _exported():
    """The classes that a script under the patch may hand to skl2onnx."""
    own = [entry.cls for entry in entries() if entry.to_stock is not None]
    return own + [new for _, new in _made.values() if isinstance(new, type)]


def unpatch_sklearn() -> dict[str, list[str]]:
    """Put scikit-learn's own classes and functions back, also where they were imported under the patch.

    Objects made under the patch stay what they are. Does nothing where nothing is patched.

    Returns
    -------
    dict of str to list of str
        The names put back, by module.
    """
    with _lock:
        table = {id(new): (new, stock) for stock, new in _active.values()}
        changed = _swap(table, lambda module, pair: module != __name__)
        _active.clear()
    return changed


@contextlib.contextmanager
def _not_patched():
    """scikit-learn's own names for the length of a ``with`` block."""
    with _lock:
        before = dict(_active)
        unpatch_sklearn()
    try:
        yield
    finally:
        _patch_again(before)


def _patch_again(before):
    with _lock:
        _swap(before, lambda module, pair: _may_change(module, pair[0]))
        _active.update(before)


@contextlib.contextmanager
def patched(names: Sequence[str] | None = None) -> AbstractContextManager[None]:
    """scikit-learn patched for the length of a ``with`` block.

    Parameters
    ----------
    names : list of str, default=None
        As for :func:`patch_sklearn`. What was patched before the block is patched after it.
    """
    with _lock:
        before = dict(_active)
        changed = patch_sklearn(names)
    try:
        yield changed
    finally:
        with _lock:
            unpatch_sklearn()
            if before:
                _patch_again(before)


def replaced_names() -> dict[str, list[str]]:
    """What the patch replaces: names of classes and functions, by the package of scikit-learn that offers them.

    Returns
    -------
    dict of str to list of str

    Examples
    --------
    >>> from fasttrain.patch import replaced_names
    >>> replaced_names()["neural_network"]
    ['MLPClassifier', 'MLPRegressor']
    """
    with _lock:
        made = sorted(_replacements())
    packages = sorted({package for package, _ in made})
    return {package: [name for found, name in made if found == package] for package in packages}


def start_account() -> _account.Account:
    """Keep an account of the calls of replaced classes and functions from now on.

    Returns
    -------
    Account
        Its ``summary()`` says how many calls were accelerated, which scikit-learn served and why, and how long they
        took; ``summary(by_line=True)`` also from which lines of the program. Calls of other processes are not in it.

    Examples
    --------
    >>> import fasttrain
    >>> account = fasttrain.patch.start_account()
    >>> with fasttrain.patched():
    ...     from sklearn.preprocessing import StandardScaler
    ...     scaled = StandardScaler().fit([[1.0], [3.0]]).transform([[2.0]])
    >>> [(name, calls) for name, _, _, calls, _ in sorted(account.rows())]
    [('StandardScaler.fit', 1), ('StandardScaler.transform', 1)]
    """
    return _account.start()


def run_script(path: PathLike, arguments: Sequence[str] = (), *, verbose: bool = False,
               profile: bool = False) -> None:
    """Run a script under the patch as ``python path arguments...`` would: as ``__main__``, with its folder first on
    the path.

    Parameters
    ----------
    path : path
    arguments : list of str
        What the script finds in ``sys.argv[1:]``.
    verbose : bool, default=False
        At the end, also when the script raises, say on standard error what became of its calls: :func:`start_account`.
    profile : bool, default=False
        The same by the script's lines.
    """
    path = os.fspath(path)
    with open(path, "rb") as file:
        source = file.read()
    code = compile(source, path, "exec")
    main = types.ModuleType("__main__")
    vars(main).update(__file__=path, __builtins__=__builtins__, __cached__=None)
    argv, sys.argv = sys.argv, [path, *arguments]
    before, sys.modules["__main__"] = sys.modules["__main__"], main
    folder = os.path.dirname(os.path.abspath(path))
    sys.path.insert(0, folder)
    account = start_account() if verbose or profile else None
    try:
        with patched():
            exec(code, vars(main))
    finally:
        # none in a child that the script has forked
        if account is not None and _account.stop() is not None:
            print(account.summary(by_line=profile), file=sys.stderr)
        sys.argv, sys.modules["__main__"] = argv, before
        if folder in sys.path:
            sys.path.remove(folder)


def pytest_configure(config: Any) -> None:
    """The pytest plugin: everything that is collected runs under the patch."""
    patch_sklearn()


def pytest_unconfigure(config: Any) -> None:
    """Undoes what :func:`pytest_configure` did."""
    unpatch_sklearn()


def pytest_report_header(config: Any) -> str:
    """A line in pytest's header."""
    return "scikit-learn patched by fasttrain"


_replacements()
