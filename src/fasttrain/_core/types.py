"""The types that public signatures are written in, one name for each kind of argument.

A signature shows the name, not what it stands for, because the files that use them postpone their annotations. Nothing
checks them when a program runs: what a function takes is checked by ``checks``, and says so in its messages.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, Union

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from typing_extensions import Self
else:
    Self = Any

__all__ = [
    "ActivationName",
    "Array",
    "ArrayLike",
    "EstimatorLike",
    "LossName",
    "Matrix",
    "MatrixLike",
    "OptimizerName",
    "PathLike",
    "PenaltyName",
    "RandomStateLike",
    "ScheduleName",
    "Scoring",
    "Self",
    "SparseLike",
    "Splitter",
    "TableLike",
]


class SparseLike(Protocol):
    """A sparse matrix or array of SciPy, in any format."""

    @property
    def shape(self) -> Any: ...

    @property
    def tocsr(self) -> Callable[..., Any]: ...


class EstimatorLike(Protocol):
    """An estimator: of fasttrain, of scikit-learn, or of anything that keeps to its interface."""

    @property
    def fit(self) -> Callable[..., Any]: ...

    @property
    def get_params(self) -> Callable[..., Any]: ...


class CrossValidator(Protocol):
    """A splitter of scikit-learn or of fasttrain."""

    @property
    def split(self) -> Callable[..., Any]: ...

    @property
    def get_n_splits(self) -> Callable[..., Any]: ...


Array: TypeAlias = NDArray[Any]
# Dense or sparse, as X was: which of them is seen only when it runs.
Matrix: TypeAlias = Any
MatrixLike: TypeAlias = ArrayLike | SparseLike
# A table of any library, or an array.
TableLike: TypeAlias = Any
PathLike: TypeAlias = Union[str, "os.PathLike[str]"]
RandomStateLike: TypeAlias = int | np.random.RandomState | None
Splitter: TypeAlias = int | CrossValidator | Iterable[Any] | None
Scoring: TypeAlias = Union[str, Callable[..., Any], "list[str]", "tuple[str, ...]", "set[str]", "dict[str, Any]", None]

# Every name that the registries answer to.
LossName: TypeAlias = Literal[
    "half_squared_error", "squared_error", "mse", "mean_squared_error", "absolute_error", "mae", "mean_absolute_error",
    "huber", "quantile", "pinball", "poisson", "gamma", "tweedie", "tweedie_identity", "binary_crossentropy",
    "log_loss", "logistic", "bce", "softmax_crossentropy", "sparse_categorical_crossentropy", "multinomial", "hinge",
    "squared_hinge", "modified_huber", "epsilon_insensitive", "squared_epsilon_insensitive", "perceptron",
]
ActivationName: TypeAlias = Literal[
    "identity", "linear", "relu", "leaky_relu", "leakyrelu", "elu", "selu", "gelu", "silu", "swish", "tanh", "logistic",
    "sigmoid", "softplus", "exponential", "exp", "clipped_relu", "relu6", "hard_sigmoid", "hard_silu", "hard_swish",
    "hard_tanh", "softsign", "mish", "celu", "log_sigmoid", "softmax",
]
OptimizerName: TypeAlias = Literal[
    "gradient_descent", "gd", "sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adadelta", "adam", "adamw", "nadam",
    "lion", "adamax", "ftrl", "lamb", "lbfgs", "l-bfgs",
]
PenaltyName: TypeAlias = Literal["none", "l1", "lasso", "l2", "ridge", "elasticnet", "elastic_net", "l1_l2"]
ScheduleName: TypeAlias = Literal[
    "constant", "step_decay", "step", "exponential_decay", "exponential", "inverse_scaling", "invscaling",
    "cosine_decay", "cosine", "one_cycle", "onecycle", "warmup", "reduce_on_plateau", "plateau",
]
