"""Linear models and dense networks, trained on a CPU by compiled kernels.

Submodules are loaded when they are first used; scikit-learn only with an estimator.
"""

from __future__ import annotations

import importlib
from typing import Any, Literal

__version__ = "0.1.0"

_SUBMODULES = (
    "activations", "callbacks", "checkpoints", "descent", "embedding", "inspection", "interop", "keras", "layers",
    "linear_model", "losses", "model_selection", "models", "neural_network", "optimizers", "patch", "penalties",
    "persistence", "plotting", "preprocessing", "rate_finder", "schedules", "training",
)

# Where each name that is public here really lives.
_NAMES = {
    "num_threads": "fasttrain._kernels.threads",
    "set_num_threads": "fasttrain._kernels.threads",
    "get_num_threads": "fasttrain._kernels.threads",
    "set_instruction_set": "fasttrain._kernels.primitives",
    "LinearClassifier": "fasttrain.linear_model",
    "LinearRegressor": "fasttrain.linear_model",
    "MLPClassifier": "fasttrain.neural_network",
    "MLPRegressor": "fasttrain.neural_network",
    "SGDClassifier": "fasttrain.linear_model",
    "SGDRegressor": "fasttrain.linear_model",
    "minimize": "fasttrain.descent",
    "learning_rate_finder": "fasttrain.rate_finder",
    "patch_sklearn": "fasttrain.patch",
    "patched": "fasttrain.patch",
    "unpatch_sklearn": "fasttrain.patch",
    "load": "fasttrain.persistence",
    "save": "fasttrain.persistence",
}

__all__ = ["__version__", "get_include", "show_config", *_NAMES, *_SUBMODULES]


def __getattr__(name):
    if name in _SUBMODULES:
        return importlib.import_module(f"fasttrain.{name}")
    if name in _NAMES:
        value = getattr(importlib.import_module(_NAMES[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'fasttrain' has no attribute {name!r}")


def __dir__():
    return sorted(__all__)


def get_include() -> str:
    """Folder of the public C headers, for a C or Cython extension that includes them."""
    import os

    return os.path.join(os.path.dirname(__file__), "_kernels", "csrc")


def show_config(mode: Literal["stdout", "dicts"] = "stdout") -> dict[str, Any] | None:
    """What this build and this machine give: version, instruction set, OpenMP, threads.

    Parameters
    ----------
    mode : {'stdout', 'dicts'}, default='stdout'
        Print, or return a dict.
    """
    from fasttrain._kernels import primitives, threads

    if mode not in ("stdout", "dicts"):
        raise ValueError(f"mode must be 'stdout' or 'dicts', got {mode!r}")
    config = {
        "version": __version__,
        "instruction_set": primitives.isa(),
        "best_instruction_set": primitives.best_isa(),
        "openmp": threads.has_openmp(),
        "threads": threads.get_num_threads(),
    }
    if mode == "dicts":
        return config
    for name, value in config.items():
        print(f"{name.replace('_', ' ')}: {value}")
    if not config["openmp"]:
        print("built without OpenMP: everything runs on one thread")
