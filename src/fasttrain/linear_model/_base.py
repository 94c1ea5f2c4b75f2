"""What the linear estimators share: parameters, data, the fit itself and what outlives it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted, validate_data

from fasttrain import penalties, schedules
from fasttrain._core.checks import check_batch_size, check_flag, check_integer, check_real, check_rows
from fasttrain._core.types import Array, LossName, OptimizerName, RandomStateLike, ScheduleName
from fasttrain._core.warned import warn
from fasttrain._estimators.blocks import CheckedBlocks
from fasttrain._estimators.conversion import Convertible
from fasttrain._estimators.data import check_validation_data, dense, random_states, validated
from fasttrain._estimators.fitted import KeepsEngine, raise_lost, set_fitted
from fasttrain._estimators.following import CallbackSupportMixin, tasks_of
from fasttrain._estimators.parameters import dtypes_of
from fasttrain._estimators.rows import RowsOf
from fasttrain._kernels.network import Network
from fasttrain._kernels.threads import get_num_threads
from fasttrain.callbacks import Callback, ProgressBar, as_callbacks
from fasttrain.data import Blocks
from fasttrain.data._use import predicts
from fasttrain.linear_model._automatic import AUTOMATIC, AutomaticPenalty, chosen, measures_steps, needs_steps
from fasttrain.linear_model._data import ArrayRows, BlockRows
from fasttrain.losses import Loss
from fasttrain.optimizers import Optimizer
from fasttrain.penalties import Penalty
from fasttrain.schedules import Schedule
from fasttrain.training import Plan, Stopping, configure, train, train_lbfgs
from fasttrain.training.engine import raw_predict

# Names under which the optimizer's own learning rate of 0.001, meant for networks, is raised.
_NETWORK_RULES = ("adam", "adamax", "lamb", "nadam", "rmsprop")


def most_epochs(estimator):
    """The most epochs of a fit; None where an optimizer may have its own number."""
    return estimator.max_iter if isinstance(estimator.optimizer, str) else None


class LinearModel(KeepsEngine, Convertible, CallbackSupportMixin, BaseEstimator):
    """What the classifier and the regressor share: everything but the meaning of y."""

    loss: LossName | Loss
    penalty: Literal["auto", "l1", "l2", "elasticnet"] | Penalty | None
    alpha: float
    l1_ratio: float
    fit_intercept: bool
    optimizer: OptimizerName | Literal["auto"] | Optimizer
    learning_rate: float | None
    schedule: ScheduleName | Schedule
    batch_size: int | Literal["auto", "full"]
    max_iter: int
    n_iter_no_change: int
    shuffle: bool
    random_state: RandomStateLike
    early_stopping: bool
    validation_fraction: float
    warm_start: bool
    callbacks: Callback | Callable[..., Any] | Sequence[Callback | Callable[..., Any]] | None
    n_threads: int | None
    dtype: Any
    verbose: int
    coef_: Any
    intercept_: Any
    n_iter_: Any
    t_: int
    loss_: float
    best_loss_: float | None
    loss_curve_: list[float]
    validation_loss_curve_: list[float] | None
    history_: dict[str, list[float]]
    converged_: bool
    stop_reason_: str
    advice_: Any
    n_features_in_: int
    feature_names_in_: Array

    # ---- parameters as specs ----

    def _penalty_spec(self, optimizer):
        if isinstance(self.penalty, penalties.Penalty):
            return self.penalty
        alpha = check_real(self.alpha, "alpha", low=0)
        l1_ratio = check_real(self.l1_ratio, "l1_ratio", low=0, high=1)
        if isinstance(self.penalty, str) and self.penalty == AUTOMATIC:
            is_automatic = self.optimizer == AUTOMATIC and optimizer.rule == "lbfgs"
            return AutomaticPenalty() if is_automatic else penalties.NoPenalty()
        made = penalties.get(self.penalty)
        if isinstance(made, penalties.ElasticNet):
            return penalties.ElasticNet(alpha, l1_ratio)
        return type(made)(alpha) if isinstance(made, (penalties.L1, penalties.L2)) else made

    def _check_parameters(self, steps=False):
        """The specs of this fit, which goes in steps if ``steps`` says so; all that is wrong with a parameter is raised
        here.
        """
        schedule = schedules.get(self.schedule)
        for name in ("fit_intercept", "shuffle", "early_stopping", "warm_start"):
            check_flag(getattr(self, name), name)
        optimizer = chosen(self, schedule, steps)
        penalty = self._penalty_spec(optimizer)
        check_real(self.learning_rate, "learning_rate", low=0, open_low=True, optional=True)
        check_integer(self.max_iter, "max_iter", low=1)
        check_integer(self.n_iter_no_change, "n_iter_no_change", low=1)
        if self.tol is not None and self.tol != -math.inf:
            check_real(self.tol, "tol", low=0)
        check_real(self.validation_fraction, "validation_fraction", low=0, high=1, open_low=True, open_high=True)
        check_integer(self.n_threads, "n_threads", low=1, optional=True)
        as_callbacks(self.callbacks)
        return self._loss_spec(), optimizer, penalty, schedule

    def _learning_rate(self, optimizer):
        if self.learning_rate is None and isinstance(self.optimizer, str) and optimizer.rule in _NETWORK_RULES:
            return 0.01
        return self.learning_rate

    # ---- data ----

    def _checked(self, X, y, keep, **options):
        """X and y as arrays of the dtype to compute in: a partial fit's data take the dtype of the model."""
        dtype = self.coef_.dtype if keep == "partial" else dtypes_of(self.dtype)
        X, y = validated(self, X, y, reset=not keep, dtype=dtype, accept_sparse="csr", **options)
        return X if isinstance(X, RowsOf) else check_rows(X), dense(y)

    def _class_weights(self, y):
        return None

    # ---- fitting ----

    def _start(self, X, n_outputs, keep):
        """An engine for this fit: new, with the last coefficients (warm), or going on as it was left (partial)."""
        if not keep:
            return Network(X.shape[1], n_outputs, X.dtype, self.fit_intercept)
        coef = np.atleast_2d(self.coef_)
        if coef.shape != (n_outputs, X.shape[1]):
            raise ValueError(
                f"the data must have the {coef.shape[0]} outputs and {coef.shape[1]} features of the last fit, "
                f"got {n_outputs} and {X.shape[1]}"
            )
        network = getattr(self, "_engine", None) if keep == "partial" else None
        if network is None or network.fit_intercept != self.fit_intercept:
            network = Network(X.shape[1], n_outputs, X.dtype, self.fit_intercept)
        intercept = np.atleast_1d(self.intercept_)
        network.parameters[:] = network.pack(coef, intercept if self.fit_intercept else np.zeros_like(intercept))
        return network

    def _fit_blocks(self, source, name, validation_data=None, resume_from=None, classes=None):
        """Train on a source of several blocks, by the method of this name."""
        fitted = hasattr(self, "coef_")
        keep = "warm" if self.warm_start and fitted else None
        if name == "partial_fit":
            keep = "partial" if fitted else "first"
        dtype = self.coef_.dtype if keep == "partial" else dtypes_of(self.dtype)
        checked = CheckedBlocks(
            self, source, dtype, keep in (None, "first"), y_numeric=self._y_numeric, accept_sparse="csr")
        factors = self._learn_target(checked, keep, classes)
        return self._fit(BlockRows(self, checked, factors), validation_data, keep=keep, resume_from=resume_from)

    def _learn_target(self, checked, keep, classes):
        """What a pass over y has to find; the factors of class weights, or None."""
        return None

    def _fit(self, rows, validation_data=None, keep=None, resume_from=None):
        """Train on checked rows; sets every fitted attribute at the end, none before.

        ``keep`` is None, 'warm' (start from the coefficients) or 'partial' (one epoch more), 'first' for the first of
        these.
        """
        partial = keep in ("partial", "first")
        loss, optimizer, penalty, schedule = self._check_parameters(steps=partial or resume_from is not None)
        if resume_from is not None and optimizer.rule == "lbfgs":
            raise ValueError("resume_from needs an optimizer that makes steps, got LBFGS")
        resume, random_state, start_random_state = random_states(self, resume_from)
        if partial and optimizer.rule == "lbfgs":
            raise ValueError("partial_fit needs an optimizer that makes steps, got LBFGS")
        validation, threads = None, get_num_threads(self.n_threads)
        if validation_data is not None:
            validation = self._check_validation_data(validation_data, rows.dtype)
        elif self.early_stopping and not partial and optimizer.rule != "lbfgs":
            rows, validation = rows.hold_out(random_state)
        loss, n_outputs = rows.encode(loss)
        batch_size = check_batch_size(self.batch_size, len(rows))
        network = self._start(rows, n_outputs, keep if keep != "first" else None)
        if optimizer.rule == "lbfgs":
            # the objective has the penalty, which is of coefficients in other units than the unknowns
            configure(network, loss, optimizer, penalties.NoPenalty())
            objective = rows.scaled_objective(
                network, loss, None if isinstance(penalty, AutomaticPenalty) else penalty, threads)
        else:
            configure(network, loss, optimizer, penalty)
            rate, tol = self._learning_rate(optimizer), self.tol
            rate = optimizer.learning_rate if rate is None else rate
            if measures_steps(self, optimizer) and not partial:
                multiple, size = rows.measured_steps(network, loss, fresh=keep is None)
                rate, tol = rate * multiple, None if tol is None else tol * size

            def build():
                made = Network(shape[1], n_outputs, dtype, fit_intercept)
                configure(made, loss, optimizer, penalty)
                return made

            shape, dtype, fit_intercept = rows.shape, rows.dtype, network.fit_intercept
            orders = rows.steps(network, batch_size, self.shuffle, random_state, build)
        validation_loss = None
        if validation is not None:
            validation_loss = self._validation_loss(network, loss, validation, rows.n_columns, threads)
        callbacks = as_callbacks(self.callbacks) + ([ProgressBar()] if self.verbose else [])
        tasks = tasks_of(self)
        if tasks is not None:
            callbacks.append(tasks.of(lambda training: self._parameters_of(
                *training.network.unpack(training.network.parameters))))
        common = {"validation_loss": validation_loss, "n_threads": self.n_threads}
        if optimizer.rule == "lbfgs":
            result = train_lbfgs(
                network, optimizer, n_iter=self.max_iter, callbacks=callbacks, objective=objective,
                tol=max(self.tol, 0.0) if self.tol is not None else 0.0, **common)
        else:
            goes_on, stopping = keep == "partial", None
            if not partial:
                stopping = Stopping(tol, self.n_iter_no_change, self.early_stopping and validation is not None)
            result = train(network, Plan(
                n_epochs=1 if partial else self.max_iter, batch_size=batch_size, n_samples=len(rows), **orders,
                learning_rate=rate, schedule=schedule, first_step=self.t_ if goes_on else 0,
                schedule_epochs=self.max_iter,
                schedule_state=getattr(self, "_schedule_state", None) if goes_on else None, stopping=stopping,
                callbacks=callbacks, random_state=random_state, start_random_state=start_random_state, resume=resume,
            ), **common)
        network.release()
        advice = None if partial or result.lost else self._advice(optimizer, schedule, result)
        self._set_fitted(network, result, keep in ("warm", "partial"), advice)
        raise_lost(result)
        if not partial:
            self._warn_unless_settled()
        return self

    def _advice(self, optimizer, schedule, result):
        """What to change in a fit that has not arrived; None for one that has."""
        if result.converged:
            return None
        if optimizer.rule == "lbfgs":
            tol, limit = optimizer.tol or self.tol or 0.0, optimizer.max_iter or self.max_iter
            if result.n_iter >= limit:
                return f"Raise max_iter (now {limit}) or tol (now {tol:g})"
            if result.n_steps >= optimizer.max_fun:
                return f"Raise max_fun of LBFGS (now {optimizer.max_fun}) or tol (now {tol:g})"
            return f"Raise tol (now {tol:g}), which the digits of the data do not allow, or pass them as float64"
        rate = result.history["learning_rate"][-1] if result.history["learning_rate"] else optimizer.learning_rate
        advice = f"Raise max_iter (now {self.max_iter}) or the learning rate (now {rate:g}), or scale the features"
        asked = needs_steps(self, schedule) if self.optimizer == AUTOMATIC else None
        if asked is not None:
            advice += f'; or leave out {asked}, for which optimizer="auto" is Adam and not L-BFGS'
        elif self.optimizer != AUTOMATIC:
            advice += '; or take optimizer="auto"'
        return advice

    def _warn_unless_settled(self):
        if self.advice_ is not None and self.tol is not None and self.tol != -math.inf:
            warn(
                f"training ended before the loss settled: {self.stop_reason_}. {self.advice_}.",
                ConvergenceWarning
            )

    def _strata(self, y):
        return None

    def _check_validation_data(self, validation_data, dtype, accept_sparse="csr"):
        if isinstance(validation_data, Blocks):
            return BlockRows(self, CheckedBlocks(
                self, validation_data, dtype, False, y_numeric=self._y_numeric, accept_sparse="csr"))
        X, y, weights = check_validation_data(self, validation_data, dtype, accept_sparse="csr")
        return ArrayRows(self, X, self._check_y(y), weights)

    def _validation_loss(self, network, loss, validation, n_columns, threads):
        validation.encode(self._loss_spec())
        if validation.n_columns != n_columns:
            raise ValueError(f"y of the validation data must have {n_columns} columns as y, got {validation.n_columns}")
        return validation.validation_loss(network, loss, threads)

    def _set_fitted(self, network, result, goes_on, advice=None):
        """Attributes of a finished fit; one that goes on adds its epochs, steps and history to the last one's."""
        earlier = self.history_ if goes_on else {}
        history = {
            name: earlier.get(name, []) + result.history.get(name, []) for name in {**earlier, **result.history}
        }
        curve = history["loss"]
        account = {
            "n_iter_": result.n_iter + (self.n_iter_ if goes_on else 0),
            "t_": result.n_steps + (self.t_ if goes_on else 0),
            "history_": history, "loss_curve_": curve, "validation_loss_curve_": history.get("validation_loss"),
            "loss_": curve[-1] if curve else math.nan, "best_loss_": min(curve, default=math.nan),
            "converged_": result.converged, "stop_reason_": result.message, "advice_": advice,
            "_schedule_state": result.schedule_state,
        }
        # a partial fit goes on where the last one stopped, moments included
        set_fitted(self, self._parameters_of(*network.unpack(network.parameters)), account, network)

    def _parameters_of(self, coef, intercept):
        return {"coef_": coef, "intercept_": intercept}

    @predicts
    def _raw_predict(self, X):
        check_is_fitted(self)
        X = check_rows(
            validate_data(self, X, reset=False, dtype=self.coef_.dtype, order="C", accept_sparse="csr"))
        coef = np.atleast_2d(self.coef_)
        network = Network(coef.shape[1], coef.shape[0], coef.dtype)
        network.parameters[:] = network.pack(coef, np.atleast_1d(self.intercept_))
        return raw_predict(network, X, get_num_threads(self.n_threads))
