"""What SGDClassifier and SGDRegressor share: parameters, checks, and the shape of a fit."""

import warnings

import numpy as np
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import validate_data

from fasttrain._core.checks import check_bool, check_integer, check_real, check_string, is_ready
from fasttrain._estimators.conversion import Convertible
from fasttrain.linear_model._descents import SCHEDULES, SPARSE_INTERCEPT_DECAY

PENALTIES = ("l2", "l1", "elasticnet")
REGRESSION_LOSSES = ("squared_error", "huber", "epsilon_insensitive", "squared_epsilon_insensitive")
CLASSIFIER_LOSSES = ("hinge", "log_loss", "modified_huber", "squared_hinge", "perceptron", *REGRESSION_LOSSES)
# What every estimator of a lockstep group must have in common: they walk one row order and share one formula.
SHARED = ("loss", "fit_intercept", "shuffle", "random_state", "early_stopping", "validation_fraction")


class StochasticLinear(Convertible):
    """What the classifier and the regressor share: parameters, checks, and the shape of a fit."""

    def __init__(
        self,
        loss,
        *,
        penalty="l2",
        alpha=0.0001,
        l1_ratio=0.15,
        fit_intercept=True,
        max_iter=1000,
        tol=1e-3,
        shuffle=True,
        verbose=0,
        epsilon=0.1,
        random_state=None,
        learning_rate="optimal",
        eta0=0.01,
        power_t=0.5,
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=5,
        warm_start=False,
        average=False,
    ):
        self.loss = loss
        self.penalty = penalty
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.fit_intercept = fit_intercept
        self.max_iter = max_iter
        self.tol = tol
        self.shuffle = shuffle
        self.verbose = verbose
        self.epsilon = epsilon
        self.random_state = random_state
        self.learning_rate = learning_rate
        self.eta0 = eta0
        self.power_t = power_t
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.warm_start = warm_start
        self.average = average

    # ---- parameters ----

    def _check_parameters(self, for_partial_fit=False):
        """Refuse parameters that are wrong by themselves or together, before any data is looked at."""
        check_string(self.loss, "loss", self._losses)
        if self.penalty is not None:
            check_string(self.penalty, "penalty", PENALTIES, "or None")
        check_real(self.alpha, "alpha", low=0)
        check_real(self.l1_ratio, "l1_ratio", low=0, high=1, optional=True)
        check_bool("fit_intercept", self.fit_intercept)
        check_integer(self.max_iter, "max_iter", low=1)
        check_real(self.tol, "tol", low=0, optional=True)
        check_bool("shuffle", self.shuffle)
        if isinstance(self.verbose, bool) is False:
            check_integer(self.verbose, "verbose", low=0)
        check_real(self.epsilon, "epsilon", low=0)
        check_string(self.learning_rate, "learning_rate", SCHEDULES)
        check_real(self.eta0, "eta0", low=0, open_low=True)
        check_real(self.power_t, "power_t")
        check_bool("early_stopping", self.early_stopping)
        check_real(
            self.validation_fraction, "validation_fraction", low=0, high=1, open_low=True, open_high=True
        )
        check_integer(self.n_iter_no_change, "n_iter_no_change", low=1)
        check_bool("warm_start", self.warm_start)
        if not isinstance(self.average, (bool, np.bool_)):
            check_integer(self.average, "average", low=1)
        if self.early_stopping and for_partial_fit:
            raise ValueError("early_stopping must be False with partial_fit, got True")
        if self.learning_rate == "optimal" and self.alpha == 0:
            raise ValueError("alpha must be > 0 with learning_rate='optimal', which divides by it, got 0")
        if self.learning_rate in ("pa1", "pa2") and self.loss != self._aggressive_loss:
            raise ValueError(
                f"learning_rate={self.learning_rate!r} goes with loss={self._aggressive_loss!r} only, got "
                f"loss={self.loss!r}"
            )
        if self.penalty == "elasticnet" and self.l1_ratio is None:
            raise ValueError("l1_ratio must be a number in [0, 1] with penalty='elasticnet', got None")

    def descent_options(self, X, t, has_score=False, own_score=False):
        return {
            "t": t,
            "fit_intercept": bool(self.fit_intercept),
            "shuffle": bool(self.shuffle),
            "intercept_decay": SPARSE_INTERCEPT_DECAY if sparse.issparse(X) else 1.0,
            "stop_on_score": bool(self.early_stopping) and has_score,
            "score_unscaled": not own_score,
            "pause_each_epoch": self.verbose > 0,
        }

    def check_rows(self, X, y, reset, dtype=None, **options):
        """X as the kernels take it (C order or CSR, float32 or float64), and y."""
        dtypes = [np.float64, np.float32] if dtype is None else [dtype]
        if is_ready(self, X, y, reset, dtypes):
            return X, y
        return validate_data(
            self,
            X,
            y,
            accept_sparse="csr",
            accept_large_sparse=True,
            order="C",
            reset=reset,
            dtype=dtypes if dtype is None else dtype,
            **options,
        )

    def warn_at_end(self):
        if self.tol is not None and self.n_iter_ == self.max_iter:
            warnings.warn(
                "Maximum number of iteration reached before convergence. Consider increasing max_iter to "
                "improve the fit.",
                ConvergenceWarning,
                stacklevel=3,
            )
        if self.power_t < 0:
            warnings.warn(
                "Negative values for `power_t` are deprecated in version 1.8 and will raise an error in "
                "1.10. Use values "
                "in the range [0.0, inf) instead.",
                FutureWarning,
                stacklevel=3,
            )

    def _averaged(self):
        return self.average > 0 and self.average <= self.t_ - 1.0


def start_array(value, name, shape, dtype):
    """Initial weights of the wanted shape, as a copy: the caller's array is not trained in place."""
    array = np.array(value, dtype=dtype, order="C")
    if array.size != np.prod(shape) or (len(shape) == 2 and shape[0] > 1 and array.shape != shape):
        raise ValueError(f"{name} must have shape {shape}, got {array.shape}")
    return array.reshape(shape)


def subset(array, rows):
    """The wanted rows of an array; all of them for None."""
    return array if array is None or rows is None else array[rows]
