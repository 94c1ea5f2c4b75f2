"""Configurations of a training of the dense engine with no hidden layer, run by the engine and by its twin."""

import numpy as np
import reference_network
import tolerances

from fasttrain import losses, optimizers
from fasttrain._kernels.network import Network

# A quantile whose gradients over a batch never add up to exactly zero, or rounding alone would decide Lion's sign.
LOSSES = {
    "huber": 0.7, "quantile": 0.3137, "hinge": 1.0, "squared_hinge": 1.0, "epsilon_insensitive": 0.1,
    "squared_epsilon_insensitive": 0.1, "tweedie": 1.5, "tweedie_identity": 0.0,
}
OPTIMIZERS = {
    "gradient_descent": optimizers.GradientDescent(0.05),
    "momentum": optimizers.Momentum(0.02),
    "nesterov": optimizers.Nesterov(0.02),
    "adagrad": optimizers.AdaGrad(0.05, initial_accumulator=0.1),
    "rmsprop": optimizers.RMSprop(0.01, epsilon=1e-4),
    "rmsprop_momentum": optimizers.RMSprop(0.01, momentum=0.8, epsilon=1e-4, epsilon_mode="inside"),
    "rmsprop_centered": optimizers.RMSprop(0.01, centered=True, epsilon=1e-2),
    "adadelta": optimizers.AdaDelta(epsilon=1e-3),
    "adam": optimizers.Adam(0.01, epsilon=1e-4),
    "adam_corrected": optimizers.Adam(0.01, epsilon=1e-4, corrected_root=True),
    "adamw": optimizers.AdamW(0.01, epsilon=1e-4),
    "nadam": optimizers.NAdam(0.01, epsilon=1e-4),
    "lion": optimizers.Lion(0.01),
    "amsgrad": optimizers.Adam(0.01, epsilon=1e-4, beta_2=0.9, amsgrad=True),
    "adamax": optimizers.AdaMax(0.01, epsilon=1e-4),
    "lamb": optimizers.LAMB(0.01, epsilon=1e-4),
    "ftrl": optimizers.FTRL(0.1, l1=0.01, l2_shrinkage=0.01),
}


def targets(rng, loss, n, k, dtype):
    kind = losses.get(loss).targets
    if kind == "classes":
        return rng.integers(0, k, (n, 1)).astype(dtype)
    if kind == "margin":
        return rng.choice([-1.0, 1.0], (n, k)).astype(dtype)
    if kind == "probability":
        return rng.integers(0, 2, (n, k)).astype(dtype)
    if kind == "non_negative":
        return rng.poisson(1.0, (n, k)).astype(dtype)
    if kind == "positive":
        return (rng.gamma(4.0, 0.25, (n, k)) + 0.1).astype(dtype)
    return rng.normal(size=(n, k)).astype(dtype)


class Case:
    """One configuration of a training, with its data, run by the engine and by its twin."""

    def __init__(self, loss="half_squared_error", n_outputs=1, n_features=7, batch_size=7, optimizer="adam",
                 shuffled=True, weighted=False, clip_norm=None, clip_value=None, weight_decay=None, l1=0.0, l2=0.0,
                 fit_intercept=True, dtype="float64", n_epochs=2, seed=0, whole=False):
        self.loss, self.parameter, self.dtype = loss, LOSSES.get(loss, 1.0), np.dtype(dtype)
        self.batch_size, self.l1, self.l2, self.fit_intercept = batch_size, l1, l2, fit_intercept
        self.optimizer = OPTIMIZERS[optimizer]
        self.settings = dict(self.optimizer.settings())
        if clip_value is not None:
            self.settings["clip_value"] = clip_value
        if weight_decay is not None:
            self.settings["weight_decay"] = weight_decay
        self.clip_norm = np.inf if clip_norm is None else clip_norm
        rng = np.random.default_rng([seed, n_outputs, n_features, batch_size])
        n = 23 if batch_size < 3 else 3 * batch_size // 2 + 5
        n = max(n, 40) if batch_size > 2 else n
        # all rows are a batch, and steps may go by lanes
        self.whole = whole
        n = batch_size if whole else n
        # exp(z) must stay of order one, or the twin's own rounding is magnified by every step
        largest = 1.0 / np.sqrt(n_features) if losses.get(loss).inverse_link == "exponential" else 1.0
        self.X = rng.uniform(-largest, largest, (n, n_features)).astype(dtype)
        self.y = targets(rng, loss, n, n_outputs, dtype)
        self.weight = None
        if weighted:
            self.weight = rng.integers(0, 4, n).astype(dtype)
            # a batch without any weight
            self.weight[:min(batch_size, n // 2)] = 0
        self.orders = [rng.permutation(n) if shuffled else None for _ in range(n_epochs)]
        self.per_epoch = -(-n // batch_size)
        self.rates = self.optimizer.learning_rate * rng.uniform(0.5, 1.0, n_epochs * self.per_epoch)
        self.coef = rng.normal(0, 0.3, (n_outputs, n_features)).astype(dtype)
        self.intercept = (rng.normal(0, 0.3, n_outputs) if fit_intercept else np.zeros(n_outputs)).astype(dtype)

    def network(self):
        network = Network(self.X.shape[1], len(self.coef), self.dtype, self.fit_intercept)
        network.parameters[:] = network.pack(self.coef, self.intercept)
        network.set_lanes(self.whole)
        network.set_loss(self.loss, self.parameter)
        network.set_penalty(self.l1, self.l2)
        settings = {**self.settings, "clip_norm": self.clip_norm}
        network.set_optimizer(self.optimizer.rule, self.optimizer.slots, settings, self.optimizer.initial_state)
        network.bind(self.X, self.y, self.weight)
        return network

    def train(self, n_threads=1, seconds=10.0):
        """The engine after all epochs, and the epochs' losses."""
        network = self.network()
        curve = []
        for epoch, order in enumerate(self.orders):
            rates = self.rates[epoch * self.per_epoch:(epoch + 1) * self.per_epoch]
            network.start_epoch(order, self.batch_size, rates, n_threads)
            while not network.run(seconds):
                pass
            curve.append(network.epoch_loss)
        return network, np.array(curve)

    def bytes(self, n_threads=1, seconds=10.0):
        return self.bytes_of(*self.train(n_threads, seconds))

    @staticmethod
    def bytes_of(network, curve):
        return network.parameters.tobytes(), curve.tobytes(), {k: v.tobytes() for k, v in network.state.items()}

    def twin(self):
        precise = [np.asarray(a, np.longdouble) for a in (self.coef, self.intercept, self.X, self.y)]
        settings = dict(self.settings)
        if self.optimizer.rule in ("adagrad", "ftrl"):
            settings["initial_accumulator"] = self.optimizer.initial_accumulator
        return reference_network.train(
            *precise, settings, loss=self.loss, parameter=self.parameter, batch_size=self.batch_size,
            orders=self.orders, rates=self.rates, l1=self.l1, l2=self.l2,
            weight=None if self.weight is None else self.weight.astype(np.longdouble),
            clip_norm=self.clip_norm, fit_intercept=self.fit_intercept,
        )

    def check(self, threads=(2, 8), flips=0):
        """Equal to the twin, and the same bytes for every number of threads.

        ``flips`` outputs may differ by less than a step: a residual within rounding of a loss's corner may take the
        other side of it, and with it all weights of its output.
        """
        network, curve = self.train()
        coef, intercept = network.unpack(network.parameters)
        expected_coef, expected_intercept, expected_curve = self.twin()
        close = tolerances.of(tolerances.STEPS, self.dtype)
        got = np.column_stack([coef, intercept])
        expected = np.column_stack([expected_coef, expected_intercept]).astype(float)
        flipped = ~np.isclose(got, expected, **close).all(axis=1)
        if 0 < flipped.sum() <= flips:
            assert abs(got - expected).max() < self.optimizer.learning_rate
            got, expected = got[~flipped], expected[~flipped]
        np.testing.assert_allclose(got, expected, **close)
        np.testing.assert_allclose(curve, expected_curve.astype(float), **close)
        assert not network.diverged
        for n_threads in threads:
            assert self.bytes(n_threads) == self.bytes_of(network, curve), n_threads


def k_of(loss, k):
    return max(k, 2) if loss == "softmax_crossentropy" else k
