"""What ``import fasttrain`` offers, for type checkers and completion: ``__init__.py`` loads it when it is used."""

from contextlib import AbstractContextManager
from typing import Any, Literal, overload

from fasttrain import (
    activations as activations, callbacks as callbacks, checkpoints as checkpoints, dask as dask, data as data,
    descent as descent, embedding as embedding, inspection as inspection, interop as interop, keras as keras,
    layers as layers, linear_model as linear_model, losses as losses, model_selection as model_selection,
    models as models, neural_network as neural_network, optimizers as optimizers, patch as patch,
    penalties as penalties, persistence as persistence, plotting as plotting, preprocessing as preprocessing,
    rate_finder as rate_finder, schedules as schedules, training as training,
)
from fasttrain.descent import minimize as minimize
from fasttrain.linear_model import (
    LinearClassifier as LinearClassifier, LinearRegressor as LinearRegressor, SGDClassifier as SGDClassifier,
    SGDRegressor as SGDRegressor,
)
from fasttrain.neural_network import MLPClassifier as MLPClassifier, MLPRegressor as MLPRegressor
from fasttrain.patch import patch_sklearn as patch_sklearn, patched as patched, unpatch_sklearn as unpatch_sklearn
from fasttrain.persistence import load as load, save as save
from fasttrain.rate_finder import learning_rate_finder as learning_rate_finder

__version__: str
__all__: list[str]

def get_include() -> str: ...
def get_num_threads(requested: int | None = None) -> int: ...
def num_threads(n_threads: int | None) -> AbstractContextManager[None]: ...
def set_instruction_set(name: Literal["baseline", "avx2", "avx512"] | None) -> str: ...
def set_num_threads(n_threads: int | None) -> int | None: ...
@overload
def show_config(mode: Literal["stdout"] = "stdout") -> None: ...
@overload
def show_config(mode: Literal["dicts"]) -> dict[str, Any]: ...
