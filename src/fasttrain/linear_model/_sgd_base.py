"""What SGDClassifier and SGDRegressor share: parameters, checks, and the shape of a fit."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.extmath import safe_sparse_dot
from sklearn.utils.validation import validate_data

from fasttrain._core.checks import check_choice, check_flag, check_integer, check_real, is_ready
from fasttrain._core.slices import by_slices
from fasttrain._core.types import ArrayLike, MatrixLike
from fasttrain._estimators.conversion import Convertible
from fasttrain._estimators.fitted import set_fitted
from fasttrain.linear_model._descents import SCHEDULES, SPARSE_INTERCEPT_DECAY, validation_mask

# Cells of X to a product: it may have to be copied in another type first.
PRODUCT_CELLS = 1 << 21
PENALTIES = ("l2", "l1", "elasticnet", None)
REGRESSION_LOSSES = ("squared_error", "huber", "epsilon_insensitive", "squared_epsilon_insensitive")
CLASSIFIER_LOSSES = ("hinge", "log_loss", "modified_huber", "squared_hinge", "perceptron", *REGRESSION_LOSSES)
# What every estimator of a lockstep group must have in common: they walk one row order and share one formula.
SHARED = ("loss", "fit_intercept", "shuffle", "random_state", "early_stopping", "validation_fraction")


class StochasticLinear(Convertible):
    """What the classifier and the regressor share: parameters, checks, where a fit begins and where it ends."""

    # Whether the weights of a single model have one axis.
    _is_flat = False

    # ---- parameters ----

    def _check_parameters(self, for_partial_fit=False):
        """Refuse parameters that are wrong by themselves or together, before any data is looked at."""
        check_choice(self.loss, "loss", self._losses)
        check_choice(self.penalty, "penalty", PENALTIES)
        check_real(self.alpha, "alpha", low=0)
        check_real(self.l1_ratio, "l1_ratio", low=0, high=1, optional=True)
        check_flag(self.fit_intercept, "fit_intercept")
        check_integer(self.max_iter, "max_iter", low=1)
        check_real(self.tol, "tol", low=0, optional=True)
        check_flag(self.shuffle, "shuffle")
        if not isinstance(self.verbose, bool):
            check_integer(self.verbose, "verbose", low=0)
        check_real(self.epsilon, "epsilon", low=0)
        check_choice(self.learning_rate, "learning_rate", SCHEDULES)
        check_real(self.eta0, "eta0", low=0, open_low=True)
        check_real(self.power_t, "power_t")
        check_flag(self.early_stopping, "early_stopping")
        check_real(
            self.validation_fraction, "validation_fraction", low=0, high=1, open_low=True, open_high=True
        )
        check_integer(self.n_iter_no_change, "n_iter_no_change", low=1)
        check_flag(self.warm_start, "warm_start")
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

    def descent_options(self, X: MatrixLike, t: Any, has_score: bool = False, own_score: bool = False) -> Any:
        """What the kernel of per-sample descent is told, from the checked parameters."""
        return {
            "t": t,
            "fit_intercept": bool(self.fit_intercept),
            "shuffle": bool(self.shuffle),
            "intercept_decay": SPARSE_INTERCEPT_DECAY if sparse.issparse(X) else 1.0,
            "stop_on_score": bool(self.early_stopping) and has_score,
            "score_unscaled": not own_score,
            "pause_each_epoch": self.verbose > 0,
        }

    def check_rows(self, X: MatrixLike, y: ArrayLike, reset: bool, dtype: Any = None, **options: Any) -> Any:
        """X as the kernels take it (C order or CSR, float32 or float64), and y."""
        dtypes = [np.float64, np.float32] if dtype is None else [dtype]
        if is_ready(self, X, y, reset, dtypes):
            return X, y
        _refuse_text_and_dates(X)
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

    def warn_at_end(self, n_iter: Any) -> None:
        """Warn where ``max_iter`` ended the fit before its stopping rule."""
        if self.tol is not None and n_iter == self.max_iter:
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

    # ---- where a fit begins ----

    def _fresh(self, n_models, X, coef_init=None, intercept_init=None):
        """Starting weights of the models of a new fit: (coef, intercept, average_coef, average_intercept)."""
        shape = (n_models, X.shape[1])
        coef, intercept = np.zeros(shape, X.dtype), np.zeros(n_models, X.dtype)
        if coef_init is not None:
            coef = _start_array(coef_init, "coef_init", shape, X.dtype)
        if intercept_init is not None:
            intercept = _start_array(intercept_init, "intercept_init", (n_models,), X.dtype)
        return coef, intercept, np.zeros(shape, X.dtype), np.zeros(n_models, X.dtype)

    def _state(self):
        """Starting weights of a fit that goes on."""
        if sparse.issparse(self.coef_):
            raise ValueError("coef_ must be dense to train further; call densify() first")
        coef = np.atleast_2d(self.coef_)
        if self.average and getattr(self, "_average_coef", None) is not None:
            return (
                np.atleast_2d(self._standard_coef), self._standard_intercept, np.atleast_2d(self._average_coef),
                self._average_intercept,
            )
        return coef, self.intercept_, np.zeros_like(coef), np.zeros(len(coef), coef.dtype)

    def _check_validation(self, X_val, y_val, dtype, **options):
        """Checked validation data of one's own; None without any."""
        if X_val is None and y_val is None:
            return None
        if X_val is None or y_val is None:
            raise ValueError("X_val and y_val must be given together, got one of them")
        return self.check_rows(X_val, y_val, reset=False, dtype=dtype, **options)

    # ---- where it ends ----

    def _adopt(self, models, start, t, n_samples, facts=None):
        """Take over what was trained, a model an output or a class, from ``start`` on; ``facts`` are of the data."""
        several = len(models) > 1
        n_iter = max(model.n_iter for model in models)
        account = {
            **(facts or {}), "n_iter_": n_iter, "t_": t + n_iter * n_samples,
            "loss_curve_": _of_models(models, "loss_curve"),
            "validation_scores_": _of_models(models, "validation_scores") if models[0].validation_scores else None,
        }
        coef, intercept = self._weights_of(models, "coef", "intercept", several)
        parameters = {"coef_": coef, "intercept_": intercept}
        if self.average:
            averages = self._weights_of(models, "average_coef", "average_intercept", several)
            averaged = self.average <= account["t_"] - 1.0
            parameters = self._with_averages(coef, intercept, *averages, averaged, start, several)
        set_fitted(self, parameters, account)

    def _weights_of(self, models, coef, intercept, several):
        """Weights and intercepts as the attributes have them."""
        coefs = [getattr(model, coef) for model in models]
        coef = np.stack(coefs) if several else coefs[0] if self._is_flat else coefs[0][np.newaxis]
        return coef, np.array([getattr(model, intercept) for model in models])

    def _with_averages(self, coef, intercept, average_coef, average_intercept, averaged, start, several):
        """The parameters of an averaged model: those of the last step, the means, and as attributes one of the two."""
        return {
            "coef_": average_coef if averaged else coef, "intercept_": average_intercept if averaged else intercept,
            "_standard_coef": coef, "_standard_intercept": intercept,
            "_average_coef": average_coef, "_average_intercept": average_intercept,
        }


def raw_predictions(X, coef, intercept):
    """``X coef^T + intercept`` by slices of rows, between which Ctrl-C is heard; a vector where there is one model."""
    raw = by_slices(lambda rows: safe_sparse_dot(rows, coef.T, dense_output=True) + intercept, X, PRODUCT_CELLS)
    return raw.ravel() if raw.ndim == 2 and raw.shape[1] == 1 else raw


def _refuse_text_and_dates(X):
    """validate_data makes numbers of them in fit, and refuses them in predict."""
    if isinstance(X, (list, tuple)):
        try:
            X = np.asarray(X)
        except ValueError:
            # rows of different lengths, of which it has its own word
            return
    dtypes = [X.dtype] if hasattr(X, "dtype") else getattr(X, "dtypes", [])
    for dtype in dtypes:
        if isinstance(dtype, np.dtype) and dtype.kind in "SUMm":
            raise ValueError(f"X must hold numbers, got {dtype}")


def _start_array(value, name, shape, dtype):
    """Initial weights of the wanted shape, as a copy: the caller's array is not trained in place."""
    array = np.array(value, dtype=dtype, order="C")
    if array.size != np.prod(shape) or (len(shape) == 2 and shape[0] > 1 and array.shape != shape):
        raise ValueError(f"{name} must have shape {shape}, got {array.shape}")
    return array.reshape(shape)


def _of_models(models, name):
    """What each of several models has, or what the only one has."""
    return [getattr(model, name) for model in models] if len(models) > 1 else getattr(models[0], name)


def subset(array, rows):
    """The wanted rows of an array; all of them for None."""
    return array if array is None or rows is None else array[rows]


def start_of(start, k):
    """The starting weights of one model."""
    return tuple(np.ascontiguousarray(part[k]) if part.ndim == 2 else float(part[k]) for part in start)


def held_out(lead, split_on, stratified, X, weight, rows):
    """(mask over ``rows``, or over X where these are all; row numbers) of what early stopping holds out."""
    weighted = None if weight is None else subset(weight, rows) > 0
    mask = validation_mask(split_on, stratified, lead.validation_fraction, lead.random_state, weighted)
    if rows is None:
        return mask, np.flatnonzero(mask)
    held = rows[mask.astype(bool)]
    mask = np.zeros(X.shape[0], np.uint8)
    mask[held] = 1
    return mask, held
