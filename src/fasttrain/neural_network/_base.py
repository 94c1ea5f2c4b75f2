"""What the multi-layer perceptrons share: their data, initial weights, the fit itself, prediction and state."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from itertools import pairwise
from numbers import Integral
from typing import Any, Literal
from weakref import WeakKeyDictionary

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted, validate_data

from fasttrain._core.checks import check_rows
from fasttrain._core.locks import ModuleLock
from fasttrain._core.types import (
    ActivationName, Array, LossName, OptimizerName, PenaltyName, RandomStateLike, ScheduleName,
)
from fasttrain._core.warned import warn
from fasttrain._estimators.blocks import CheckedBlocks
from fasttrain._estimators.conversion import Convertible
from fasttrain._estimators.data import check_validation_data, dense, random_states, validated, weights_of
from fasttrain._estimators.fitted import KeepsEngine, all_or_nothing, raise_lost, set_fitted
from fasttrain._estimators.following import CallbackSupportMixin, tasks_of
from fasttrain._estimators.networks import fold_normalization, normalizations
from fasttrain._estimators.parameters import dtypes_of
from fasttrain._estimators.rows import RowsOf
from fasttrain._kernels.network import Network
from fasttrain._kernels.primitives import finite
from fasttrain._kernels.threads import get_num_threads
from fasttrain.activations import Activation
from fasttrain.callbacks import Callback, ProgressBar, as_callbacks
from fasttrain.data import Blocks
from fasttrain.data._use import detached, predicts
from fasttrain.losses import Loss
from fasttrain.neural_network._data import ArrayRows, BlockRows
from fasttrain.neural_network._progress import Account, Progress
from fasttrain.neural_network._settings import NORMALIZATION_EPSILON, is_lbfgs, settings_of
from fasttrain.optimizers import Optimizer
from fasttrain.penalties import Penalty
from fasttrain.schedules import Schedule
from fasttrain.training import Plan, train, train_lbfgs
from fasttrain.training.engine import engine_of, raw_predict, remembered

# The engines of estimators that have predicted, to which each prediction gives the weights anew: what takes long for
# a single row is to make one. Larger ones are not kept.
_PREDICTORS = WeakKeyDictionary()
_PREDICTORS_LOCK = ModuleLock()
_MOST_KEPT = 1 << 20

# SciPy's own default; scikit-learn leaves it there, and n_iter_ hangs on it.
_FTOL = 2.220446049250313e-09


@contextmanager
def _predicting(network):
    """The network with its averaged weights, which are those that predict, in place of the ones in training."""
    if network.average is None:
        yield
        return
    own = network.parameters.copy()
    network.parameters[:] = network.average
    try:
        yield
    finally:
        network.parameters[:] = own


def _places(batch_norm):
    """Where each hidden layer of the attribute ``batch_norm_`` is normalized."""
    return () if batch_norm is None else tuple(layer and layer["place"] for layer in batch_norm)


def folded_layers(model):
    """New arrays of weights and biases that predict without batch normalization what the model predicts with it."""
    return fold_normalization(model.coefs_, model.intercepts_, model.batch_norm_, NORMALIZATION_EPSILON)


def partial_epochs(model, X, y, n_epochs):
    """What ``n_epochs`` calls of ``partial_fit`` after the first one do; ``n_iter_`` counts them as one."""
    model._fit(X, y, incremental=True, n_epochs=n_epochs)


class MultilayerPerceptron(KeepsEngine, Convertible, CallbackSupportMixin, BaseEstimator):
    """What the classifier and the regressor share: everything but the meaning of y."""

    hidden_layer_sizes: int | Sequence[int] | Array
    activation: ActivationName | Activation | Sequence[ActivationName | Activation]
    solver: Literal["lbfgs", "sgd", "adam"]
    alpha: float
    batch_size: Literal["auto"] | int
    learning_rate: Literal["constant", "invscaling", "adaptive"]
    learning_rate_init: float
    power_t: float
    max_iter: int
    shuffle: bool
    random_state: RandomStateLike
    tol: float
    verbose: bool | int
    warm_start: bool
    momentum: float
    nesterovs_momentum: bool
    early_stopping: bool
    validation_fraction: float
    beta_1: float
    beta_2: float
    epsilon: float
    n_iter_no_change: float
    max_fun: int
    loss: LossName | Loss
    optimizer: OptimizerName | Optimizer | None
    schedule: ScheduleName | Schedule | None
    penalties: PenaltyName | Penalty | Sequence[PenaltyName | Penalty | None] | None
    dropout: float | Sequence[float]
    input_dropout: float
    noise: float
    mixup: float
    max_norm: float | Sequence[float | None] | None
    averaging: Literal["ema", "swa"] | None
    averaging_decay: float
    averaging_start: int
    batch_norm: Literal["before", "after"] | Sequence[Literal["before", "after"] | None] | None
    batch_norm_momentum: float
    callbacks: Callback | Callable[..., Any] | Sequence[Callback | Callable[..., Any]] | None
    progress: bool
    n_threads: int | None
    dtype: Any
    coefs_: list[Array]
    intercepts_: list[Array]
    batch_norm_: list[Any] | None
    loss_: float
    best_loss_: float | None
    loss_curve_: list[float]
    validation_scores_: Any
    best_validation_score_: float | None
    validation_loss_curve_: list[float] | None
    n_iter_: Any
    t_: int
    n_layers_: int
    n_outputs_: int
    n_features_in_: int
    feature_names_in_: Array
    out_activation_: str

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    # ---- data ----

    def _dtype_of_fit(self, reset, settings):
        """The dtype to compute in, which is that of the weights when these go on, or a list to choose from."""
        if not reset:
            return self.coefs_[0].dtype
        # as in scikit-learn, whose weights are float64 here whatever X is: line searches need the digits
        return np.float64 if settings.rule == "lbfgs" else dtypes_of(self.dtype)

    def _checked(self, X, y, reset, settings):
        """X dense or CSR, in the dtype to compute in; y as an array."""
        dtype = self._dtype_of_fit(reset, settings)
        X, y = validated(self, X, y, reset=reset, dtype=dtype, y_numeric=self._y_numeric, accept_sparse="csr")
        if hasattr(getattr(X, "matrix", X), "indptr") and settings.of_input:
            raise ValueError(f"X must be dense with {settings.of_input[0]}, which changes zeros, got a sparse matrix")
        return X if isinstance(X, RowsOf) else check_rows(X), dense(y)

    def _class_weights(self, y):
        return None

    def _validation_part(self, validation_data, dtype):
        """The rows of a caller's validation data."""
        if isinstance(validation_data, Blocks):
            checked = CheckedBlocks(
                self, validation_data, dtype, False, y_numeric=self._y_numeric, accept_sparse="csr")
            e = detached(self)
            rows = BlockRows(self, checked, lambda y, weights: (e._encode(e._known_target(y), dtype), weights))
            target = rows.blocks.load(checked.first)[1]
        else:
            X, y, weights = check_validation_data(self, validation_data, dtype, accept_sparse="csr")
            target = self._encode(self._known_target(y), dtype)
            rows = ArrayRows(self, X, target, weights)
        width = self.n_outputs_ if target.shape[1] != 1 or self.out_activation_ != "softmax" else 1
        if target.shape[1] != width:
            raise ValueError(f"y of validation_data must have {width} columns as y has, got {target.shape[1]}")
        return rows

    # ---- fitting ----

    @staticmethod
    def _initial(units, settings, random_state, dtype):
        """Uniform weights and biases after Glorot and Bengio (2010), and no normalization."""
        coefs, intercepts = [], []
        activations = settings.activations
        last = len(activations) - 1
        for i, (fan_in, fan_out) in enumerate(pairwise(units)):
            factor = 2.0 if activations and activations[min(i, last)][0] == "logistic" else 6.0
            bound = np.sqrt(factor / (fan_in + fan_out))
            coefs.append(random_state.uniform(-bound, bound, (fan_in, fan_out)).astype(dtype, copy=False))
            intercepts.append(random_state.uniform(-bound, bound, fan_out).astype(dtype, copy=False))
        return coefs, intercepts, None

    def _layers(self):
        """Weights, biases and normalizations of the last fit."""
        # weights that were set by hand, as scikit-learn allows it, have none
        return self.coefs_, self.intercepts_, getattr(self, "batch_norm_", None)

    def _network(self, settings, layers, keep):
        """An engine with the weights of ``layers``; the last one, whose moments go on, when ``keep``."""
        network = getattr(self, "_engine", None) if keep else None
        activations = settings.activations[:len(settings.hidden)]
        places = settings.batch_norm or (None,) * len(settings.hidden)
        if network is None or network.normalize != places:
            return _new_network(layers, activations, places)
        if self._hidden != activations:
            network = engine_of(remembered(network, activations))
        if network.average is None:
            _load(network, *layers)
        return network

    @staticmethod
    def _parameters_of(network, settings):
        """Attributes of what the engine predicts with."""
        parameters = network.parameters if network.average is None else network.average
        coefs, intercepts = network.unpack_layers(parameters)
        return {
            "coefs_": coefs, "intercepts_": intercepts, "n_layers_": len(coefs) + 1,
            "batch_norm_": normalizations(network, parameters) if any(network.normalize) else None,
            "_hidden": settings.activations[:len(settings.hidden)],
        }

    def _set_fitted(self, network, settings, account):
        """Attributes of what the engine predicts with, and of the account of its epochs."""
        set_fitted(
            self, self._parameters_of(network, settings), account.attributes(),
            network if settings.rule != "lbfgs" else None)

    def _fit(self, X, y, sample_weight=None, validation_data=None, incremental=False, resume_from=None, n_epochs=1):
        """Train; every attribute is as before when anything is raised. An incremental fit makes ``n_epochs``."""
        settings = settings_of(self)
        with all_or_nothing(self):
            first = not hasattr(self, "coefs_") or (not self.warm_start and not incremental)
            given = getattr(X, "dtype", None)
            X, y = self._checked(X, y, first, settings)
            y = self._prepare_target(y, incremental)
            weights = weights_of(self, sample_weight, y, X.dtype)
            loss, target = self._loss_and_target(y, X.dtype)
            result = self._fit_rows(
                ArrayRows(self, X, target, weights), loss, settings, validation_data, first, incremental, resume_from,
                n_epochs=n_epochs, number=self._number_of_losses(given, y))
        self._warn(settings, result, incremental)
        return self

    def _fit_blocks(self, source, name, validation_data=None, resume_from=None, classes=None):
        """Train on a source of several blocks, by the method of this name."""
        settings = settings_of(self)
        incremental = name == "partial_fit"
        first = not hasattr(self, "coefs_") or (not self.warm_start and not incremental)
        dtype = self._dtype_of_fit(first, settings)
        checked = CheckedBlocks(self, source, dtype, first, y_numeric=self._y_numeric, accept_sparse="csr")
        X, y, _ = checked.load(checked.first)
        if hasattr(X, "indptr") and settings.of_input:
            raise ValueError(f"X must be dense with {settings.of_input[0]}, which changes zeros, got a sparse matrix")
        factors = self._learn_target(checked, y, incremental, classes)
        loss, _ = self._loss_and_target(self._known_target(y), checked.dtype)

        e, dtype = detached(self), checked.dtype

        def code(y, weights):
            y = e._known_target(y)
            if factors is not None:
                by_class = factors[np.searchsorted(e.classes_, y)].astype(dtype)
                weights = by_class if weights is None else weights * by_class
            return e._encode(y, dtype), weights

        result = self._fit_rows(
            BlockRows(self, checked, code), loss, settings, validation_data, first, incremental, resume_from)
        self._warn(settings, result, incremental)
        return self

    def _learn_target(self, checked, y, incremental, classes):
        """What a pass over y has to find, whose first block is given; the factors of class weights, or None."""
        return None

    def _fit_rows(self, rows, loss, settings, validation_data, first, incremental, resume_from, n_epochs=1,
                  number=np.float64):
        """Train on checked rows, and set every fitted attribute at the end; ``number`` is the type of the losses."""
        dtype = rows.dtype
        if resume_from is not None and settings.rule == "lbfgs":
            raise ValueError("resume_from needs a solver that makes steps, got 'lbfgs'")
        resume, random_state, start_random_state = random_states(self, resume_from)
        units = [rows.n_features, *settings.hidden, self.n_outputs_]
        if first:
            layers = self._initial(units, settings, random_state, dtype)
        else:
            layers = self._layers()
            units = settings.adopt_sizes(units, layers[0])
            if [c.shape for c in layers[0]] != list(pairwise(units)):
                raise ValueError(
                    f"the layers must be those of the last fit, {[c.shape for c in layers[0]]}, to go on from it, "
                    f"got {list(pairwise(units))}"
                )
        if incremental and self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True")
        if incremental and not first and getattr(self, "_solver", None) is not None and self.optimizer is None:
            settings.solver = self._solver
        account = Account(None if first else self, bool(self.early_stopping) and settings.rule != "lbfgs", number)
        network = self._network(settings, layers, keep=incremental and not first)
        network.set_loss(loss.name, loss.parameter)
        network.set_value_scale(self._value_scale())
        validation = None if validation_data is None else self._validation_part(validation_data, dtype)
        if settings.rule == "lbfgs":
            result = self._fit_lbfgs(network, settings, account, loss, rows, validation)
        else:
            result = self._fit_stochastic(
                network, settings, account, loss, rows, validation, random_state, incremental, first,
                start_random_state, resume, n_epochs)
        network.release()
        self._set_fitted(network, settings, account)
        raise_lost(result)
        return result

    def _warn(self, settings, result, incremental):
        if result.interrupted:
            warn("Training interrupted by user.")
        elif settings.rule == "lbfgs" and not result.converged:
            warn(
                f"lbfgs failed to converge after {self.n_iter_} iteration(s): {result.message}. Raise max_iter (now "
                f"{settings.lbfgs.max_iter or self.max_iter}) or max_fun (now {settings.lbfgs.max_fun}), or scale the "
                "features.",
                ConvergenceWarning
            )
        elif settings.rule != "lbfgs" and not incremental and not result.converged:
            warn(
                f"Stochastic Optimizer: Maximum iterations ({self.max_iter}) reached and the optimization hasn't "
                "converged yet.",
                ConvergenceWarning
            )

    def _validation_loss(self, network, loss, validation):
        if validation is None:
            return None
        threads, scale = get_num_threads(self.n_threads), self._value_scale()

        def value():
            with _predicting(network):
                return scale * validation.mean_loss(network, loss, threads)

        return value

    def _callbacks(self, settings):
        callbacks = as_callbacks(self.callbacks) + ([ProgressBar()] if self.progress else [])
        tasks = tasks_of(self)
        if tasks is not None:
            callbacks.append(tasks.of(lambda training: self._parameters_of(training.network, settings)))
        return callbacks

    def _fit_lbfgs(self, network, settings, account, loss, rows, validation):
        settings.configure(network)
        objective, constant = rows.objective(network)
        callbacks = self._callbacks(settings)
        if self.verbose:
            callbacks += as_callbacks(lambda epoch, logs: print(f"Iteration {epoch}, loss = {logs['loss']:.8f}"))
        result = train_lbfgs(
            network, settings.lbfgs, n_iter=self.max_iter, callbacks=callbacks, n_threads=self.n_threads,
            tol=self.tol, ftol=_FTOL if self.optimizer is None else None,
            validation_loss=self._validation_loss(network, loss, validation),
            loss_constant=constant, objective=objective,
        )
        losses = list(map(account.number, result.history["loss"]))
        account.n_iter_ = result.n_iter
        account.loss_curve_ = [*account.loss_curve_, *losses]
        if validation is not None:
            account.validation_loss_curve_ = [
                *(account.validation_loss_curve_ or []), *result.history["validation_loss"]]
        if losses:
            account.loss_ = losses[-1]
            best = math.inf if account.best_loss_ is None else account.best_loss_
            account.best_loss_ = min(best, *losses)
        return result

    def _fit_stochastic(self, network, settings, account, loss, rows, validation, random_state, incremental, first,
                        start_random_state, resume, n_epochs):
        early_stopping = bool(self.early_stopping)
        watch_loss = validation is not None
        if early_stopping and validation is None:
            rows, validation = rows.hold_out(random_state)
            if validation.n_samples < 2:
                raise ValueError(
                    "The validation set is too small. Increase 'validation_fraction' or the size of your dataset."
                )
        n_samples = rows.n_samples
        batch_size = self._batch_size(n_samples)
        goes_on = incremental and not first
        seed = getattr(self, "_seed", None) if goes_on else None
        if settings.random and seed is None:
            seed = int(random_state.randint(np.iinfo(np.int32).max))
        settings.configure(network, -(-n_samples // batch_size), seed if settings.random else None, used=goes_on)
        rate = settings.solver.rate
        if goes_on and settings.solver.rate_rule != "constant":
            rate = getattr(self, "_rate", rate)
        account.start(early_stopping, validation is not None, watch_loss)
        score = None
        if validation is not None:
            threads = get_num_threads(self.n_threads)

            def score(network):
                with _predicting(network):
                    return self._score_raw(*validation.raw(network, threads))

        progress = Progress(
            self, account, rate, settings.solver, n_samples, score, early_stopping, first, ends=not incremental)

        def builder():
            layers = (*network.unpack_layers(network.parameters), None)
            scale, steps = self._value_scale(), -(-n_samples // batch_size)

            def build():
                made = _new_network(layers, settings.activations[:len(settings.hidden)], settings.batch_norm)
                made.set_loss(loss.name, loss.parameter)
                made.set_value_scale(scale)
                settings.configure(made, steps, seed if settings.random else None)
                return made

            return build

        callbacks = self._callbacks(settings)
        # a generator made of a number is this fit's own, and nobody but its callbacks can look at it
        alone = isinstance(self.random_state, Integral) and resume is None and not callbacks
        # every call of partial_fit begins with the rows as they stand
        afresh = incremental and n_epochs > 1
        orders, constant = rows.steps(network, batch_size, self.shuffle, random_state, builder, afresh, alone)
        result = train(
            network, Plan(
                n_epochs=n_epochs if incremental else self.max_iter, batch_size=batch_size, n_samples=n_samples,
                learning_rate=rate, **orders,
                schedule=progress.schedule if settings.schedule is None else settings.schedule,
                first_step=int(network.counters["t"]), schedule_epochs=self.max_iter,
                schedule_state=getattr(self, "_schedule_state", None) if goes_on else None, stopping=progress,
                callbacks=callbacks, random_state=random_state, start_random_state=start_random_state, resume=resume,
            ),
            validation_loss=self._validation_loss(network, loss, validation) if watch_loss else None,
            loss_constant=constant, n_threads=self.n_threads,
            catch_interrupt=True,
        )
        account.kept = {
            "_rate": progress.schedule.rate, "_schedule_state": result.schedule_state,
            "_solver": settings.solver if self.optimizer is None else None,
        }
        if seed is not None:
            account.kept["_seed"] = seed
        return result

    def _batch_size(self, n_samples):
        if isinstance(self.batch_size, str):
            return min(200, n_samples)
        if self.batch_size > n_samples:
            warn(
                "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped"
            )
        return min(int(self.batch_size), n_samples)

    def _loss_constant(self, X, target, weights, batch_size):
        return None

    def _number_of_losses(self, given, y):
        """The type of the losses, from the dtype of X as it was given, or None, and from y."""
        return np.float64

    def _strata(self, target):
        return None

    def _check_solver(self):
        if is_lbfgs(self):
            raise AttributeError("partial_fit is only available for stochastic optimizers. lbfgs is not stochastic.")
        return True

    # ---- prediction and state ----

    @predicts
    def _raw_predict(self, X):
        if not hasattr(self, "coefs_"):
            check_is_fitted(self)
        coefs = self.coefs_
        dtype = coefs[0].dtype
        # what the checks would let through as it is need not go through them: they take longer than a row's prediction
        plain = (
            type(X) is np.ndarray and X.dtype == dtype and X.ndim == 2 and X.flags.c_contiguous and X.flags.aligned
            and X.shape[1] == self.n_features_in_ and len(X) > 0 and not hasattr(self, "feature_names_in_")
            and finite(X.reshape(-1))
        )
        if not plain:
            X = check_rows(validate_data(self, X, reset=False, dtype=dtype, order="C", accept_sparse="csr"))
        places = _places(self.batch_norm_)
        key = (dtype, *[c.shape for c in coefs], *self._hidden, *places)
        # taken out, so that another thread that predicts at the same time makes one of its own
        with _PREDICTORS_LOCK():
            kept_key, network = _PREDICTORS.pop(self, (None, None))
        if kept_key == key and type(X) is np.ndarray and len(X) == 1 and self._unpacked():
            raw = network.predict_row(coefs, self.intercepts_, X[0])
        else:
            if kept_key == key:
                _load(network, *self._layers())
            else:
                network = _new_network(self._layers(), self._hidden, places)
            raw = raw_predict(network, X, get_num_threads(self.n_threads))
        if network.parameters.size <= _MOST_KEPT:
            with _PREDICTORS_LOCK():
                _PREDICTORS[self] = key, network
        return raw

    def _unpacked(self):
        """Whether the engine can read the weights where they are."""
        dtype = self.coefs_[0].dtype
        return getattr(self, "batch_norm_", None) is None and all(
            array.dtype == dtype and array.flags.c_contiguous and array.flags.aligned
            for array in (*self.coefs_, *self.intercepts_)
        )


def _new_network(layers, activations, places):
    coefs = layers[0]
    network = Network(
        coefs[0].shape[0], coefs[-1].shape[1], coefs[0].dtype, hidden=[c.shape[1] for c in coefs[:-1]],
        activations=activations, normalize=places,
    )
    _load(network, *layers)
    return network


def _load(network, coefs, intercepts, batch_norm):
    """Give an engine the weights, and where it normalizes as they were made to, what belongs to that."""
    network.pack_layers(coefs, intercepts, network.parameters)
    layers = [layer for layer in batch_norm or [] if layer is not None]
    if layers and network.normalize == _places(batch_norm):
        views = zip(network.gains_and_shifts(network.parameters), network.moving_statistics())
        for layer, ((scale, shift), (mean, variance)) in zip(layers, views, strict=True):
            scale[:], shift[:] = layer["scale"], layer["shift"]
            mean[:], variance[:] = layer["mean"], layer["variance"]
