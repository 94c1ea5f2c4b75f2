"""What the multi-layer perceptrons share: parameters, initial weights, the fit itself and scikit-learn's stopping."""

import math
import warnings
from itertools import pairwise
from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from fasttrain import activations as activation_specs
from fasttrain._conversion import Convertible
from fasttrain._kernels.activations import NAMES as KERNEL_ACTIVATIONS
from fasttrain._kernels.network import Network
from fasttrain._kernels.threads import get_num_threads
from fasttrain._kernels.updates import SLOTS
from fasttrain._memory import (
    all_or_nothing, engine_of, from_layers, mean_loss, put_back, remembered, take, to_layers,
)
from fasttrain._spec import check_integer, check_real
from fasttrain._validation import check_choice, check_flag, check_weights
from fasttrain.callbacks import as_callbacks
from fasttrain.checkpoints import load_checkpoint, random_state_to
from fasttrain.optimizers import LBFGS
from fasttrain.schedules import Schedule
from fasttrain.training import Reshuffling, train, train_lbfgs

SOLVERS = ("lbfgs", "sgd", "adam")
LEARNING_RATES = ("constant", "invscaling", "adaptive")

# SciPy's own default; scikit-learn leaves it there, and n_iter_ hangs on it.
_FTOL = 2.220446049250313e-09

# What a fit notes of its epochs on the estimator.
_ACCOUNT = (
    "n_iter_", "t_", "loss_", "loss_curve_", "validation_loss_curve_", "validation_scores_", "best_validation_score_",
    "best_loss_", "_no_improvement_count",
)


def _dense(X):
    """A checked X as the kernels read it."""
    if hasattr(X, "toarray"):
        X = X.toarray(order="C")
    # scikit-learn keeps an array whose elements lie across their boundaries; the kernels must not see one
    return np.require(X, requirements="CA")


class _EpochRate(Schedule):
    """One rate for all steps of an epoch, changed between epochs by :class:`_Progress`."""

    def __init__(self, rate):
        self.rate = rate

    def rates(self, base, first_step, count, steps_per_epoch, total_steps):
        return np.full(count, self.rate)


class _Progress:
    """scikit-learn's account of the epochs, kept on the estimator, and its rules of stopping.

    The wait ends the training once it is longer than ``n_iter_no_change`` epochs; a score counts as better when it is
    at least ``tol`` above the best, a loss when it is at least ``tol`` below.
    """

    def __init__(self, estimator, rate, n_samples, score, restore):
        self.estimator = estimator
        self.schedule = _EpochRate(rate)
        self.n_samples = n_samples
        self.score = score
        self.restore = restore
        self.best_parameters = None

    def start(self, network):
        if self.restore:
            self.best_parameters = take(network)

    def epoch_end(self, network, loss, validation_loss):
        e = self.estimator
        e.n_iter_ += 1
        e.t_ += self.n_samples
        e.loss_ = loss
        e.loss_curve_.append(loss)
        if validation_loss is not None:
            e.validation_loss_curve_.append(validation_loss)
        if e.verbose:
            print(f"Iteration {e.n_iter_}, loss = {loss:.8f}")
        if self.score is not None:
            self._note_score(network)
        if not self.restore:
            e._no_improvement_count = e._no_improvement_count + 1 if loss > e.best_loss_ - e.tol else 0
            e.best_loss_ = min(e.best_loss_, loss)
        if e.solver == "sgd" and e.learning_rate == "invscaling":
            self.schedule.rate = float(e.learning_rate_init) / (e.t_ + 1) ** e.power_t
        if e._no_improvement_count <= e.n_iter_no_change:
            return None
        what = "Validation score" if self.restore else "Training loss"
        message = f"{what} did not improve more than tol={e.tol:f} for {e.n_iter_no_change:d} consecutive epochs."
        return self._stop_or_slow_down(message)

    def _note_score(self, network):
        e = self.estimator
        score = self.score(network)
        e.validation_scores_.append(score)
        if e.verbose:
            print(f"Validation score: {score:f}")
        if self.restore:
            e._no_improvement_count = e._no_improvement_count + 1 if score < e.best_validation_score_ + e.tol else 0
        if score > e.best_validation_score_:
            e.best_validation_score_ = score
            if self.restore:
                self.best_parameters = take(network)

    def _stop_or_slow_down(self, message):
        """With the adaptive rate the wait starts anew at a fifth of the rate, down to 1e-6."""
        e = self.estimator
        adaptive = e.solver == "sgd" and e.learning_rate == "adaptive"
        if adaptive and self.schedule.rate > 1e-6:
            self.schedule.rate /= 5.0
            e._no_improvement_count = 0
            if e.verbose:
                print(f"{message} Setting learning rate to {self.schedule.rate:f}")
            return None
        if e.verbose:
            print(f"{message}{' Learning rate too small.' if adaptive else ''} Stopping.")
        return message

    def state_dict(self, network):
        best = self.best_parameters
        return {
            "rate": self.schedule.rate, "best_parameters": None if best is None else to_layers(network, best),
            **{name: getattr(self.estimator, name) for name in _ACCOUNT},
        }

    def load_state_dict(self, network, state):
        for name in _ACCOUNT:
            setattr(self.estimator, name, state[name])
        self.schedule.rate, best = state["rate"], state["best_parameters"]
        self.best_parameters = None if best is None else from_layers(network, best)

    def finish(self, network):
        if self.best_parameters is not None:
            put_back(network, self.best_parameters)


class MultilayerPerceptron(Convertible, BaseEstimator):
    """What the classifier and the regressor share: everything but the meaning of y."""

    def __init__(self, hidden_layer_sizes, activation, *, solver, alpha, batch_size, learning_rate,
                 learning_rate_init, power_t, max_iter, shuffle, random_state, tol, verbose, warm_start, momentum,
                 nesterovs_momentum, early_stopping, validation_fraction, beta_1, beta_2, epsilon, n_iter_no_change,
                 max_fun, callbacks, n_threads, dtype):
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun
        self.callbacks = callbacks
        self.n_threads = n_threads
        self.dtype = dtype

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    # ---- parameters ----

    def _check_parameters(self):
        """Everything that is wrong with a parameter on its own is raised here."""
        check_choice("solver", self.solver, SOLVERS)
        check_choice("learning_rate", self.learning_rate, LEARNING_RATES)
        check_real(self.alpha, "alpha", low=0)
        check_real(self.learning_rate_init, "learning_rate_init", low=0, open_low=True)
        check_real(self.power_t, "power_t", low=0)
        check_real(self.tol, "tol", low=0)
        check_real(self.momentum, "momentum", low=0, high=1)
        check_real(self.validation_fraction, "validation_fraction", low=0, high=1, open_high=True)
        check_real(self.beta_1, "beta_1", low=0, high=1, open_high=True)
        check_real(self.beta_2, "beta_2", low=0, high=1, open_high=True)
        check_real(self.epsilon, "epsilon", low=0, open_low=True)
        check_integer(self.max_iter, "max_iter", low=1)
        check_integer(self.max_fun, "max_fun", low=1)
        check_integer(self.n_threads, "n_threads", low=1, optional=True)
        if self.n_iter_no_change != math.inf:
            check_integer(self.n_iter_no_change, "n_iter_no_change", low=1)
        if not (isinstance(self.batch_size, str) and self.batch_size == "auto"):
            if isinstance(self.batch_size, bool) or not isinstance(self.batch_size, Integral):
                raise TypeError(f"batch_size must be 'auto' or an integer >= 1, got {self.batch_size!r}")
            check_integer(self.batch_size, "batch_size", low=1)
        for name in ("shuffle", "warm_start", "nesterovs_momentum", "early_stopping"):
            check_flag(getattr(self, name), name)
        if not isinstance(self.verbose, (bool, np.bool_, Integral)):
            raise TypeError(f"verbose must be True, False or an integer, got {self.verbose!r}")
        as_callbacks(self.callbacks)

    def _hidden_layers(self):
        """Sizes of the hidden layers, and the (name, parameter) of each one's activation."""
        sizes = self.hidden_layer_sizes
        sizes = list(sizes) if hasattr(sizes, "__iter__") else [sizes]
        for size in sizes:
            if isinstance(size, bool) or not isinstance(size, Integral):
                raise TypeError(f"hidden_layer_sizes must hold integers > 0, got {sizes}")
            if size <= 0:
                raise ValueError(f"hidden_layer_sizes must be > 0, got {sizes}.")
        given = self.activation
        if isinstance(given, (list, tuple)):
            if len(given) != len(sizes):
                raise ValueError(
                    f"activation must be one, or one for each of the {len(sizes)} hidden layers, got {len(given)}"
                )
            specs = [activation_specs.get(a) for a in given]
        else:
            specs = [activation_specs.get(given)] * max(1, len(sizes))
        for spec in specs:
            if spec.name not in KERNEL_ACTIVATIONS:
                raise ValueError(f"activation of a hidden layer must work element by element, got {spec!r}")
        return [int(size) for size in sizes], [(spec.name, float(spec.parameter)) for spec in specs]

    # ---- data ----

    def _dtypes(self):
        if self.dtype is None:
            return [np.float64, np.float32]
        try:
            dtype = np.dtype(self.dtype)
        except TypeError:
            dtype = None
        if dtype not in (np.float32, np.float64):
            raise ValueError(f"dtype must be float32, float64 or None, got {self.dtype!r}")
        return dtype

    def _checked(self, X, y, reset):
        """X and y as arrays, X in the dtype to compute in: that of the weights when these go on."""
        dtype = self._dtypes() if reset else self.coefs_[0].dtype
        if self.solver == "lbfgs" and reset:
            # as in scikit-learn, whose weights are float64 here whatever X is: line searches need the digits
            dtype = np.float64
        X, y = validate_data(
            self, X, y, reset=reset, dtype=dtype, order="C", multi_output=True, y_numeric=self._y_numeric,
            accept_sparse=("csr", "csc"),
        )
        return _dense(X), y.toarray() if hasattr(y, "toarray") else y

    def _weights(self, sample_weight, y, dtype):
        weights = None
        if sample_weight is not None:
            if isinstance(sample_weight, Real):
                sample_weight = np.full(len(y), check_real(sample_weight, "sample_weight", low=0, open_low=True))
            weights = check_weights(sample_weight, len(y), dtype)
        by_class = self._class_weights(y)
        if by_class is not None:
            weights = by_class.astype(dtype) if weights is None else weights * by_class.astype(dtype)
        return weights

    def _class_weights(self, y):
        return None

    def _validation_part(self, validation_data, dtype):
        """(X, y, weights, engine targets) of a caller's validation data."""
        if not isinstance(validation_data, (tuple, list)) or len(validation_data) not in (2, 3):
            raise ValueError(
                "validation_data must be (X, y) or (X, y, sample_weight), got "
                + (f"{len(validation_data)} items" if isinstance(validation_data, (tuple, list))
                   else type(validation_data).__name__)
            )
        X, y = validate_data(
            self, validation_data[0], validation_data[1], reset=False, dtype=dtype, order="C", multi_output=True,
            y_numeric=self._y_numeric, accept_sparse=("csr", "csc"),
        )
        y = self._known_target(y.toarray() if hasattr(y, "toarray") else y)
        weights = validation_data[2] if len(validation_data) == 3 else None
        weights = None if weights is None else check_weights(weights, len(y), dtype)
        target = self._encode(y, dtype)
        width = self.n_outputs_ if target.shape[1] != 1 or self.out_activation_ != "softmax" else 1
        if target.shape[1] != width:
            raise ValueError(f"y of validation_data must have {width} columns as y has, got {target.shape[1]}")
        return _dense(X), target, weights

    # ---- fitting ----

    def _initialize(self, units, activations, random_state, dtype):
        """Uniform weights and biases after Glorot and Bengio (2010), and the counters of a first fit."""
        self.n_iter_ = 0
        self.t_ = 0
        self.n_layers_ = len(units)
        self.coefs_, self.intercepts_ = [], []
        last = len(activations) - 1
        for i, (fan_in, fan_out) in enumerate(pairwise(units)):
            factor = 2.0 if activations and activations[min(i, last)][0] == "logistic" else 6.0
            bound = np.sqrt(factor / (fan_in + fan_out))
            self.coefs_.append(random_state.uniform(-bound, bound, (fan_in, fan_out)).astype(dtype, copy=False))
            self.intercepts_.append(random_state.uniform(-bound, bound, fan_out).astype(dtype, copy=False))
        self.loss_curve_ = []
        self.validation_loss_curve_ = None
        self._no_improvement_count = 0
        self.best_loss_ = None if self.early_stopping and self.solver != "lbfgs" else math.inf
        self.validation_scores_ = self.best_validation_score_ = None

    def _network(self, hidden, activations, keep):
        """An engine with the weights of ``coefs_``; the last one, whose moments go on, when ``keep``."""
        network = getattr(self, "_engine", None) if keep else None
        if network is None or self._hidden != activations[:len(hidden)]:
            coefs = self.coefs_
            network = Network(
                coefs[0].shape[0], coefs[-1].shape[1], coefs[0].dtype, hidden=hidden,
                activations=activations[:len(hidden)],
            )
        network.parameters[:] = network.pack_layers(self.coefs_, self.intercepts_)
        return network

    def _set_solver(self, network):
        if self.solver == "adam":
            settings = {"beta1": self.beta_1, "beta2": self.beta_2, "epsilon": self.epsilon}
            network.set_optimizer("adam", SLOTS["adam"], settings)
        elif self.solver == "sgd":
            rule = "nesterov" if self.nesterovs_momentum else "momentum"
            network.set_optimizer(rule, SLOTS[rule], {"momentum": self.momentum})

    def _fit(self, X, y, sample_weight=None, validation_data=None, incremental=False, resume_from=None):
        """Train; every attribute is as before when anything is raised."""
        self._check_parameters()
        hidden, activations = self._hidden_layers()
        with all_or_nothing(self):
            first = not hasattr(self, "coefs_") or (not self.warm_start and not incremental)
            X, y = self._checked(X, y, reset=first)
            y = self._prepare_target(y, incremental)
            dtype = X.dtype
            weights = self._weights(sample_weight, y, dtype)
            loss, target, self.n_outputs_ = self._loss_and_target(y, dtype)
            resume = None if resume_from is None else load_checkpoint(resume_from)
            if resume is not None and self.solver == "lbfgs":
                raise ValueError("resume_from needs a solver that makes steps, got 'lbfgs'")
            # a fit that goes on draws what was drawn before it was interrupted, whatever the generator has come to
            random_state = check_random_state(self.random_state) if resume is None else resume.start_random_state()
            start_random_state = random_state_to(random_state) if self.callbacks is not None else None
            units = [X.shape[1], *hidden, self.n_outputs_]
            if first:
                self._initialize(units, activations, random_state, dtype)
            elif [c.shape for c in self.coefs_] != list(pairwise(units)):
                raise ValueError(
                    f"the layers must be those of the last fit, {[c.shape for c in self.coefs_]}, to go on from it, "
                    f"got {list(pairwise(units))}"
                )
            if incremental and self.early_stopping:
                raise ValueError("partial_fit does not support early_stopping=True")
            network = self._network(hidden, activations, keep=incremental and not first)
            network.set_loss(loss.name, loss.parameter)
            network.set_value_scale(self._value_scale())
            network.set_penalty(0.0, self.alpha, over_batch=True)
            self._set_solver(network)
            validation = None if validation_data is None else self._validation_part(validation_data, dtype)
            if self.solver == "lbfgs":
                result = self._fit_lbfgs(network, loss, X, target, weights, validation)
            else:
                result = self._fit_stochastic(
                    network, loss, X, target, weights, validation, random_state, incremental, first,
                    start_random_state, resume)
            network.release()
            self.coefs_, self.intercepts_ = network.unpack_layers(network.parameters)
            self._hidden = activations[:len(hidden)]
            self._engine = network if self.solver != "lbfgs" else None
        if result.interrupted:
            warnings.warn("Training interrupted by user.", stacklevel=3)
        elif self.solver == "lbfgs" and not result.converged:
            warnings.warn(
                f"lbfgs failed to converge after {self.n_iter_} iteration(s): {result.message}. Raise max_iter (now "
                f"{self.max_iter}) or max_fun (now {self.max_fun}), or scale the features.",
                ConvergenceWarning, stacklevel=3,
            )
        elif self.solver != "lbfgs" and not incremental and not result.converged:
            warnings.warn(
                f"Stochastic Optimizer: Maximum iterations ({self.max_iter}) reached and the optimization hasn't "
                "converged yet.",
                ConvergenceWarning, stacklevel=3,
            )
        return self

    def _validation_loss(self, network, loss, validation):
        if validation is None:
            return None
        X, target, weights = validation
        threads, scale = get_num_threads(self.n_threads), self._value_scale()
        return lambda: scale * mean_loss(network, loss, X, target, weights, threads)

    def _fit_lbfgs(self, network, loss, X, target, weights, validation):
        network.bind(X, target, weights)
        constant = self._loss_constant(target, weights, len(X))
        callbacks = as_callbacks(self.callbacks)
        if self.verbose:
            callbacks += as_callbacks(lambda epoch, logs: print(f"Iteration {epoch}, loss = {logs['loss']:.8f}"))
        result = train_lbfgs(
            network, LBFGS(max_iter=self.max_iter, tol=self.tol, max_fun=self.max_fun), n_iter=self.max_iter,
            callbacks=callbacks, n_threads=self.n_threads, catch_interrupt=True, ftol=_FTOL,
            validation_loss=self._validation_loss(network, loss, validation),
            loss_constant=0.0 if constant is None else constant(None),
        )
        self.n_iter_ = result.n_iter
        self.loss_curve_ = [*self.loss_curve_, *result.history["loss"]]
        if validation is not None:
            self.validation_loss_curve_ = [*(self.validation_loss_curve_ or []), *result.history["validation_loss"]]
        if result.history["loss"]:
            self.loss_ = result.history["loss"][-1]
            self.best_loss_ = min(math.inf if self.best_loss_ is None else self.best_loss_, min(result.history["loss"]))
        return result

    def _fit_stochastic(self, network, loss, X, target, weights, validation, random_state, incremental, first,
                        start_random_state, resume):
        early_stopping = bool(self.early_stopping)
        if early_stopping and validation is None:
            X, target, weights, validation = self._split(X, target, weights, random_state)
            watch_loss = False
        else:
            watch_loss = validation is not None
        n_samples = len(X)
        batch_size = min(200, n_samples)
        if not isinstance(self.batch_size, str):
            batch_size = min(int(self.batch_size), n_samples)
            if self.batch_size > n_samples:
                warnings.warn(
                    "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped", stacklevel=4
                )
        rate = float(self.learning_rate_init)
        if incremental and not first and self.solver == "sgd" and self.learning_rate != "constant":
            rate = getattr(self, "_rate", rate)
        self.n_iter_ = 0
        self.loss_curve_ = list(self.loss_curve_)
        if validation is not None:
            self.validation_scores_ = list(self.validation_scores_ or [])
            if self.best_validation_score_ is None:
                self.best_validation_score_ = -math.inf
        if watch_loss:
            self.validation_loss_curve_ = list(self.validation_loss_curve_ or [])
        if not early_stopping and self.best_loss_ is None:
            self.best_loss_ = math.inf
        score = None
        if validation is not None:
            threads = get_num_threads(self.n_threads)

            def score(network):
                return self._score_raw(network.raw_predict(validation[0], threads), *validation[1:])

        progress = _Progress(self, rate, n_samples, score, early_stopping)
        network.bind(X, target, weights)
        result = train(
            network, None, n_epochs=1 if incremental else self.max_iter, batch_size=batch_size, n_samples=n_samples,
            learning_rate=rate, schedule=progress.schedule, stopping=progress,
            draw_order=Reshuffling(n_samples, random_state) if self.shuffle else None, random_state=random_state,
            start_random_state=start_random_state, resume=resume,
            validation_loss=self._validation_loss(network, loss, validation) if watch_loss else None,
            callbacks=self.callbacks, n_threads=self.n_threads, catch_interrupt=True,
            loss_constant=self._loss_constant(target, weights, batch_size),
        )
        self._rate = progress.schedule.rate
        return result

    def _loss_constant(self, target, weights, batch_size):
        return None

    def _split(self, X, target, weights, random_state):
        """Hold out ``validation_fraction`` of the rows."""
        columns = [X, target] if weights is None else [X, target, weights]
        parts = train_test_split(
            *columns, random_state=random_state, test_size=self.validation_fraction, stratify=self._strata(target)
        )
        if len(parts[1]) < 2:
            raise ValueError(
                "The validation set is too small. Increase 'validation_fraction' or the size of your dataset."
            )
        parts = [np.ascontiguousarray(part) for part in parts]
        train_weights, valid_weights = parts[4:] if weights is not None else (None, None)
        return parts[0], parts[2], train_weights, (parts[1], parts[3], valid_weights)

    def _strata(self, target):
        return None

    def _check_solver(self):
        if self.solver == "lbfgs":
            raise AttributeError(
                f"partial_fit is only available for stochastic optimizers. {self.solver} is not stochastic."
            )
        return True

    # ---- prediction and state ----

    def _raw_predict(self, X):
        if not hasattr(self, "coefs_"):
            check_is_fitted(self)
        coefs = self.coefs_
        dtype = coefs[0].dtype
        # what the checks would let through as it is need not go through them: they take longer than a row's prediction
        plain = (
            type(X) is np.ndarray and X.dtype == dtype and X.ndim == 2 and X.flags.c_contiguous and X.flags.aligned
            and X.shape[1] == self.n_features_in_ and len(X) > 0 and not hasattr(self, "feature_names_in_")
            and np.isfinite(X).all()
        )
        if not plain:
            X = _dense(validate_data(self, X, reset=False, dtype=dtype, order="C", accept_sparse=("csr", "csc")))
        network = Network(
            coefs[0].shape[0], coefs[-1].shape[1], coefs[0].dtype, hidden=[c.shape[1] for c in coefs[:-1]],
            activations=self._hidden,
        )
        network.parameters[:] = network.pack_layers(coefs, self.intercepts_)
        return network.raw_predict(X, get_num_threads(self.n_threads))

    def __getstate__(self):
        # the engine holds addresses; what it knows beyond coefs_ is the optimizer's memory of a partial fit
        state = dict(super().__getstate__())
        if "_engine" in state:
            state["_memory"] = remembered(state.pop("_engine"), state["_hidden"])
        return state

    def __setstate__(self, state):
        state = dict(state)
        memory = state.pop("_memory", None)
        super().__setstate__(state)
        if memory is not None:
            self._engine = engine_of(memory)
