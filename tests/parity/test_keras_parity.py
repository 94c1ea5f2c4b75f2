"""Sequential against Keras itself on the JAX backend: the same weights and rows give the same losses, epoch by epoch.

The same arithmetic without Keras is tested in tests/keras/test_sequential_twin.py.
"""

import os
import re
import sys

import numpy as np
import pytest

os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
real = pytest.importorskip("keras")

from fasttrain import keras as ours  # noqa: E402

TOLERANCE = 1e-4

OPTIMIZERS = {
    "sgd": ("SGD", {}),
    "momentum": ("SGD", {"learning_rate": 0.05, "momentum": 0.9}),
    "nesterov": ("SGD", {"learning_rate": 0.05, "momentum": 0.8, "nesterov": True}),
    "sgd_decay": ("SGD", {"learning_rate": 0.05, "weight_decay": 0.1}),
    "global_clipnorm": ("SGD", {"learning_rate": 0.5, "global_clipnorm": 0.05}),
    "clipvalue": ("SGD", {"learning_rate": 0.5, "clipvalue": 0.01}),
    "rmsprop": ("RMSprop", {}),
    "rmsprop_momentum": ("RMSprop", {"rho": 0.8, "momentum": 0.5, "epsilon": 1e-3}),
    "rmsprop_centered": ("RMSprop", {"centered": True, "epsilon": 1e-2}),
    "adagrad": ("Adagrad", {}),
    "adagrad_fast": ("Adagrad", {"learning_rate": 0.1, "initial_accumulator_value": 0.01, "epsilon": 1e-2}),
    "adadelta": ("Adadelta", {}),
    "adadelta_fast": ("Adadelta", {"learning_rate": 1.0, "rho": 0.9, "epsilon": 1e-4}),
    "adam": ("Adam", {}),
    "adam_fast": ("Adam", {"learning_rate": 0.02, "beta_1": 0.8, "beta_2": 0.95, "epsilon": 1e-3}),
    "adam_decay": ("Adam", {"learning_rate": 0.01, "weight_decay": 0.5, "epsilon": 1e-3}),
    "adamw": ("AdamW", {"learning_rate": 0.01}),
    "nadam": ("Nadam", {"learning_rate": 0.01}),
    "lion": ("Lion", {}),
    "clipnorm": ("SGD", {"learning_rate": 0.5, "clipnorm": 0.03}),
    "amsgrad": ("Adam", {"learning_rate": 0.05, "beta_2": 0.7, "epsilon": 1e-3, "amsgrad": True}),
    "amsgrad_decay": ("AdamW", {"learning_rate": 0.02, "beta_2": 0.8, "amsgrad": True}),
    "ema": ("SGD", {"learning_rate": 0.05, "use_ema": True, "ema_momentum": 0.6}),
    "ema_put_back": ("Adam", {
        "learning_rate": 0.02, "epsilon": 1e-3, "use_ema": True, "ema_momentum": 0.5, "ema_overwrite_frequency": 3}),
    "loss_scale": ("SGD", {"loss_scale_factor": 8.0}),
    "adamax": ("Adamax", {"learning_rate": 0.01}),
    "adamax_fast": ("Adamax", {"learning_rate": 0.02, "beta_1": 0.8, "beta_2": 0.9, "weight_decay": 0.2}),
    "lamb": ("Lamb", {"learning_rate": 0.01}),
    "lamb_fast": ("Lamb", {"learning_rate": 0.05, "beta_1": 0.8, "beta_2": 0.9, "weight_decay": 0.2}),
    "lamb_clipped": ("Lamb", {"learning_rate": 0.05, "clipnorm": 0.01, "gradient_accumulation_steps": 2}),
    "ftrl": ("Ftrl", {}),
    "ftrl_fast": ("Ftrl", {"learning_rate": 0.1, "beta": 0.5, "weight_decay": 0.1}),
    "ftrl_regularized": ("Ftrl", {
        "learning_rate": 0.1, "learning_rate_power": -0.7, "initial_accumulator_value": 0.3,
        "l1_regularization_strength": 0.03, "l2_regularization_strength": 0.02,
        "l2_shrinkage_regularization_strength": 0.01}),
    "accumulated": ("Adam", {"learning_rate": 0.02, "epsilon": 1e-3, "gradient_accumulation_steps": 2}),
    "accumulated_clipped": ("Nadam", {
        "learning_rate": 0.02, "epsilon": 1e-3, "gradient_accumulation_steps": 3, "global_clipnorm": 0.1,
        "weight_decay": 0.1}),
    "accumulated_average": ("SGD", {
        "learning_rate": 0.05, "momentum": 0.9, "gradient_accumulation_steps": 2, "use_ema": True,
        "ema_momentum": 0.6, "ema_overwrite_frequency": 2}),
}
# loss, its arguments, the last activation, kind of target, metrics
LOSSES = {
    "mse": ("MeanSquaredError", {}, None, "real", ["mae", "mse", "r2_score"]),
    "mse_sigmoid": ("MeanSquaredError", {}, "sigmoid", "binary", ["mse", "accuracy"]),
    "mse_tanh": ("MeanSquaredError", {}, "tanh", "real", ["mse"]),
    "mae": ("MeanAbsoluteError", {}, None, "real", ["mean_squared_error"]),
    "mae_relu": ("MeanAbsoluteError", {}, "relu", "count", ["mse"]),
    "huber": ("Huber", {"delta": 0.5}, None, "real", ["mae"]),
    "bce": ("BinaryCrossentropy", {}, "sigmoid", "binary", ["accuracy", "bce", "AUC"]),
    "bce_logits": ("BinaryCrossentropy", {"from_logits": True, "label_smoothing": 0.1}, None, "binary", ["acc"]),
    "categorical": ("CategoricalCrossentropy", {"label_smoothing": 0.1}, "softmax", "one_hot",
                    ["accuracy", "categorical_crossentropy", "top_k_categorical_accuracy"]),
    "categorical_logits": ("CategoricalCrossentropy", {"from_logits": True}, None, "one_hot", ["accuracy"]),
    "sparse": ("SparseCategoricalCrossentropy", {}, "softmax", "codes", ["accuracy", "sparse_categorical_accuracy"]),
    "sparse_logits": ("SparseCategoricalCrossentropy", {"from_logits": True}, None, "codes", ["accuracy"]),
    "hinge": ("Hinge", {}, "tanh", "binary", ["hinge"]),
    "squared_hinge": ("SquaredHinge", {}, None, "binary", ["squared_hinge"]),
    "poisson": ("Poisson", {}, "exponential", "count", ["mse", "poisson"]),
    # those that the engine asks for
    "mape": ("MeanAbsolutePercentageError", {}, None, "real", ["mape"]),
    "msle": ("MeanSquaredLogarithmicError", {}, "softplus", "count", ["msle"]),
    "log_cosh": ("LogCosh", {}, None, "real", ["mae"]),
    "kl": ("KLDivergence", {}, "softmax", "one_hot", ["kl_divergence"]),
    "cosine": ("CosineSimilarity", {}, None, "real", ["cosine_similarity"]),
    "categorical_hinge": ("CategoricalHinge", {}, None, "one_hot", ["categorical_hinge"]),
    "focal": ("BinaryFocalCrossentropy", {"gamma": 1.5, "label_smoothing": 0.1}, "sigmoid", "binary", ["mse"]),
    "focal_balanced": ("BinaryFocalCrossentropy", {"apply_class_balancing": True, "from_logits": True}, None, "binary",
                       ["mse"]),
    "categorical_focal": ("CategoricalFocalCrossentropy", {}, "softmax", "one_hot", ["accuracy"]),
    "generalized": ("CategoricalGeneralizedCrossEntropy", {"q": 0.7}, "softmax", "codes", ["accuracy"]),
    "dice": ("Dice", {}, "sigmoid", "binary", ["mse"]),
    "tversky": ("Tversky", {"alpha": 0.3, "beta": 0.7}, "sigmoid", "binary", ["mse"]),
    "sum": ("MeanSquaredError", {"reduction": "sum"}, None, "real", ["mse"]),
    "by_weights": ("MeanSquaredError", {"reduction": "mean_with_sample_weight"}, None, "real", ["mse"]),
    "sum_of_bce": ("BinaryCrossentropy", {"reduction": "sum", "label_smoothing": 0.2}, "sigmoid", "binary", ["mse"]),
    "sum_of_huber": ("LogCosh", {"reduction": "sum"}, None, "real", ["mse"]),
}


def targets(kind, n, k, rng):
    if kind == "real":
        return rng.normal(size=(n, k)).astype("float32")
    if kind == "binary":
        return rng.integers(0, 2, (n, k)).astype("float32")
    if kind == "count":
        return rng.poisson(1.0, (n, k)).astype("float32")
    codes = rng.integers(0, k, n)
    return np.eye(k, dtype="float32")[codes] if kind == "one_hot" else codes


class Pair:
    """One configuration built from both libraries with the same weights.

    Rows come in whole batches of 16, validation included, but for the tests that are about others: Keras compiles each
    operation anew for each shape, which takes most of the time.
    """

    def __init__(self, loss="mse", optimizer="sgd", k=3, hidden=("relu", "tanh"), n=80, layers=None, **options):
        name, arguments, activation, kind, metrics = LOSSES[loss]
        rng = np.random.default_rng([n, k])
        # of some weights a row's outputs are all zero, where Keras's cosine has a gradient of NaN
        real.utils.set_random_seed(0)
        self.x = rng.normal(size=(n, 6)).astype("float32")
        self.y = targets(kind, n, k, rng)
        self.models = []
        kind, settings = OPTIMIZERS[optimizer]
        for library in (real, ours):
            model = library.Sequential([library.Input(shape=(6,))])
            made = layers(library) if layers else [library.layers.Dense(8, activation=one) for one in hidden]
            for layer in [*made, library.layers.Dense(k, activation=activation)]:
                model.add(layer)
            # compiling one step for each configuration would take most of the time
            model.compile(
                optimizer=getattr(library.optimizers, kind)(**settings),
                loss=getattr(library.losses, name)(**arguments), metrics=metrics, jit_compile=False, **options)
            self.models.append(model)
        self.models[1].set_weights(self.models[0].get_weights())

    def fit(self, **arguments):
        """Both histories of three epochs."""
        arguments = {"batch_size": 16, "epochs": 3, "shuffle": False, "verbose": 0, **arguments}
        return [model.fit(self.x, self.y, **arguments) for model in self.models]

    def agree(self, tolerance=TOLERANCE, **arguments):
        theirs, own = self.fit(**arguments)
        assert list(own.history) == list(theirs.history)
        assert own.epoch == theirs.epoch
        for key, values in theirs.history.items():
            found, wanted = np.array(own.history[key]), np.array(values)
            if key.endswith("r2_score"):
                # of the part that is not explained, which does not cancel
                found, wanted = 1 - found, 1 - wanted
            np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=1e-6, err_msg=key)
        prediction = self.models[0].predict(self.x, batch_size=16, verbose=0)
        np.testing.assert_allclose(self.models[1].predict(self.x), prediction, rtol=5e-3, atol=5e-4)
        return own


def test_the_peer_is_not_ours():
    assert real is sys.modules["keras"]
    assert "fasttrain" not in real.__file__


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer(optimizer):
    Pair("mse", optimizer).agree()


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss(loss):
    history = Pair(loss, "adam_fast").agree(validation_split=0.2).history
    assert len(history["val_loss"]) == 3


@pytest.mark.parametrize("loss", ["sum", "by_weights", "log_cosh", "dice"])
def test_weights_and_reductions(loss):
    pair = Pair(loss, "momentum")
    weights = np.random.default_rng(0).uniform(0, 3, len(pair.x)).astype("float32")
    if loss == "sum":
        # sums over batches of 16 would diverge at the rate of means, and rounding with them
        weights /= 16
    pair.agree(sample_weight=weights)
    theirs, own = (model.evaluate(pair.x, pair.y, sample_weight=weights, batch_size=16, verbose=0, return_dict=True)
                   for model in pair.models)
    assert own == pytest.approx(theirs, rel=TOLERANCE)


def test_a_loss_of_ones_own():
    """A function and a class, written alike in both libraries' operations."""
    def pinball(ops):
        def loss(y_true, y_pred):
            difference = y_true - y_pred
            return ops.mean(ops.maximum(0.8 * difference, -0.2 * difference), axis=-1)

        return loss

    def scaled(library):
        class Scaled(library.losses.Loss):
            def call(self, y_true, y_pred):
                ops = library.ops
                error = ops.square(y_true - y_pred) * ops.exp(-ops.abs(y_true)) + ops.log1p(ops.square(y_pred))
                return ops.sum(ops.where(error > 1.0, ops.sqrt(error), error), axis=-1)

        return Scaled(name="scaled")

    for made in (lambda library: pinball(library.ops), scaled):
        pair = Pair("mse", "momentum")
        for model, library in zip(pair.models, (real, ours)):
            model.compile(library.optimizers.SGD(0.02, momentum=0.9), made(library), metrics=["mae"], jit_compile=False)
        pair.agree(validation_split=0.2)


@pytest.mark.parametrize("loss", ["bce", "mse", "poisson"])
def test_one_output(loss):
    Pair(loss, "momentum", k=1).agree()


def test_no_hidden_layer():
    Pair("sparse", "sgd", hidden=()).agree()


@pytest.mark.parametrize(
    "activation", ["linear", "relu", "leaky_relu", "elu", "selu", "gelu", "silu", "tanh", "sigmoid", "softplus",
                   "exponential", "relu6", "hard_sigmoid", "hard_silu", "hard_swish", "hard_tanh", "softsign", "mish",
                   "celu", "log_sigmoid"])
def test_every_activation(activation):
    z = np.linspace(-6, 6, 41, dtype="float32").reshape(-1, 1)
    theirs, own = (library.activations.get(activation)(z) for library in (real, ours))
    np.testing.assert_allclose(own, theirs, rtol=2e-5, atol=1e-6)


def test_a_last_batch_of_fewer_rows_and_a_batch_beyond_the_rows():
    pair = Pair("mse", "adam_fast", n=75)
    pair.agree(epochs=2, validation_split=0.1)
    pair.agree(epochs=2, batch_size=1000)


@pytest.mark.parametrize("optimizer", ["momentum", "adam_fast", "rmsprop_momentum"])
def test_l2_is_not_halved(optimizer):
    def layers(library):
        regularizer = library.regularizers.L2(0.05)
        return [library.layers.Dense(8, activation="relu", kernel_regularizer=regularizer)]

    pair = Pair("mse", optimizer, layers=lambda library: layers(library))
    pair.agree(validation_split=0.2)


@pytest.mark.parametrize("place", ["before", "after", "both"])
@pytest.mark.parametrize("optimizer", ["sgd", "adam_decay"])
def test_batch_normalization(optimizer, place):
    def layers(library):
        made = library.layers
        normal = [made.BatchNormalization(momentum=0.8, epsilon=0.01) for _ in range(2)]
        if place == "before":
            return [made.Dense(8, use_bias=False), normal[0], made.Activation("relu"), made.Dense(5, "tanh")]
        if place == "after":
            return [made.Dense(8, "relu"), normal[0], made.Dense(5), made.ReLU()]
        # a bias before a normalization has a gradient of rounding errors alone, of which Adam makes whole steps
        plain = made.Dense(8, use_bias=False)
        return [plain, normal[0], made.LeakyReLU(0.1), made.Dense(20), made.ELU(), normal[1]]

    pair = Pair("mse", optimizer, layers=layers)
    weights = [w + 0.1 for w in pair.models[0].get_weights()]
    for model in pair.models:
        model.set_weights(weights)
    pair.agree(validation_split=0.2)
    for own, theirs in zip(*[model.get_weights() for model in pair.models[::-1]]):
        np.testing.assert_allclose(own, theirs, rtol=5e-3, atol=1e-4)


def test_some_layers_without_bias():
    def layers(library):
        return [library.layers.Dense(8, "tanh", use_bias=False), library.layers.Dense(4, "relu")]

    Pair("mse", "momentum", layers=layers).agree()


@pytest.mark.parametrize("constraint, arguments", [
    ("MaxNorm", {"max_value": 0.7}), ("UnitNorm", {}), ("NonNeg", {}), ("MinMaxNorm", {"min_value": 0.8}),
    ("MinMaxNorm", {"min_value": 0.9, "max_value": 1.1, "rate": 0.3}),
])
def test_constraints(constraint, arguments):
    def layers(library):
        kind = getattr(library.constraints, constraint)
        return [library.layers.Dense(8, "tanh", kernel_constraint=kind(**arguments)),
                library.layers.Dense(20, "tanh", kernel_constraint=kind(**arguments))]

    Pair("mse", "momentum", layers=layers).agree()


def test_layers_before_the_first():
    rows = np.random.default_rng(1).normal(3.0, 2.0, (40, 6)).astype("float32")

    def layers(library):
        adapted = library.layers.Normalization()
        adapted.adapt(rows)
        return [
            library.layers.Identity(), library.layers.Rescaling(1 / 3, offset=0.5), adapted,
            library.layers.Normalization(mean=[0.1] * 6, variance=[0.5] * 6), library.layers.GaussianNoise(0.0),
            library.layers.Dense(8, "mish"), library.layers.Identity(), library.layers.Dense(8, "softsign")]

    Pair("mse", "momentum", layers=layers).agree(validation_split=0.2)


@pytest.mark.parametrize("activation", ["relu6", "hard_sigmoid", "hard_silu", "hard_tanh", "celu", "log_sigmoid"])
def test_training_through_activations(activation):
    Pair("mse", "momentum", hidden=(activation, activation)).agree()


def test_a_bounded_relu():
    def layers(library):
        return [library.layers.Dense(8), library.layers.ReLU(max_value=0.5)]

    Pair("mse", "momentum", layers=layers).agree()


def test_sample_weights_are_divided_by_rows():
    pair = Pair("mse", "momentum", weighted_metrics=["mean_absolute_error"])
    weights = np.random.default_rng(0).uniform(0, 3, len(pair.x)).astype("float32")
    pair.agree(sample_weight=weights, validation_split=0.2)
    theirs = pair.models[0].evaluate(pair.x, pair.y, sample_weight=weights, verbose=0)
    np.testing.assert_allclose(
        pair.models[1].evaluate(pair.x, pair.y, sample_weight=weights, verbose=0), theirs, rtol=TOLERANCE)


@pytest.mark.parametrize("loss, k", [("sparse", 3), ("categorical", 3), ("bce", 1)])
def test_class_weights(loss, k):
    Pair(loss, "momentum", k=k).agree(class_weight={0: 0.3, 1: 2.0})


def test_evaluate_returns_the_same_list_and_dict():
    pair = Pair("sparse", "adam")
    pair.fit()
    theirs, own = (model.evaluate(pair.x, pair.y, verbose=0) for model in pair.models)
    np.testing.assert_allclose(own, theirs, rtol=TOLERANCE)
    theirs, own = (model.evaluate(pair.x, pair.y, verbose=0, return_dict=True) for model in pair.models)
    assert own == pytest.approx(theirs, rel=TOLERANCE)


def test_single_batches_and_a_second_fit_go_on_with_the_optimizers_memory():
    pair = Pair("bce", "nadam", k=1)
    pair.fit(epochs=1)
    for start in (0, 16, 32):
        rows = slice(start, start + 16)
        theirs, own = (model.train_on_batch(pair.x[rows], pair.y[rows]) for model in pair.models)
        np.testing.assert_allclose(own, theirs, rtol=TOLERANCE)
        theirs, own = (model.test_on_batch(pair.x[rows], pair.y[rows]) for model in pair.models)
        np.testing.assert_allclose(own, theirs, rtol=TOLERANCE)
    pair.agree(epochs=6, initial_epoch=3)
    assert pair.models[1].optimizer.iterations == int(pair.models[0].optimizer.iterations)


def test_learning_rate_may_be_set_between_fits_and_by_a_function_of_the_step():
    pair = Pair("mse", "sgd")
    pair.fit(epochs=1)
    for model in pair.models:
        model.optimizer.learning_rate = 0.002
    pair.agree()
    decay = real.optimizers.schedules.ExponentialDecay(0.1, decay_steps=5, decay_rate=0.7)
    for model, library, rate in zip(pair.models, (real, ours), (decay, lambda step: float(0.1 * 0.7 ** (step / 5)))):
        model.compile(optimizer=library.optimizers.SGD(rate), loss="mse", metrics=["mse"], jit_compile=False)
    pair.agree()


@pytest.mark.parametrize("name", [
    "adam", "sgd", "rmsprop", "adagrad", "adadelta", "adamw", "nadam", "lion", "adamax", "ftrl", "lamb"])
def test_names_stand_for_keras_defaults(name):
    # Keras has no name for Lamb
    theirs = real.optimizers.Lamb() if name == "lamb" else real.optimizers.get(name)
    own = ours.optimizers.get(name)
    config = theirs.get_config()
    for key, value in own.get_config().items():
        if key == "name":
            continue
        if value is None:
            assert not config[key], key
        else:
            assert value == pytest.approx(config[key], rel=1e-6), key


@pytest.mark.parametrize("loss", sorted({name for name, *_ in LOSSES.values()}))
def test_losses_and_their_names_by_themselves(loss):
    rng = np.random.default_rng(0)
    y, p = rng.uniform(0.05, 0.95, (2, 40, 3)).astype("float32")
    arguments = {"q": 0.5} if "Generalized" in loss else {}
    if "Sparse" in loss or arguments:
        y = rng.integers(0, 3, 40)
    if "inge" in loss:
        y = rng.integers(0, 2, (40, 3)).astype("float32")
    weights = rng.uniform(0, 2, 40).astype("float32")
    theirs, own = (getattr(library.losses, loss)() for library in (real, ours))
    # a counter's suffix apart
    assert own.name == re.sub(r"_\d+$", "", theirs.name)
    assert own(y, p, sample_weight=weights) == pytest.approx(float(theirs(y, p, sample_weight=weights)), rel=1e-5)
    name = own.name.removesuffix("_loss")
    np.testing.assert_allclose(getattr(ours.losses, name)(y, p, **arguments),
                               getattr(real.losses, name)(y, p, **arguments), rtol=2e-5)


@pytest.mark.parametrize("metric, arguments", [
    ("BinaryAccuracy", {"threshold": 0.3}), ("CategoricalAccuracy", {}), ("TopKCategoricalAccuracy", {"k": 2}),
    ("MeanSquaredError", {}), ("RootMeanSquaredError", {}), ("MeanAbsoluteError", {}),
    ("MeanAbsolutePercentageError", {}), ("MeanSquaredLogarithmicError", {}), ("Precision", {}),
    ("Recall", {"thresholds": 0.2}), ("AUC", {}), ("AUC", {"num_thresholds": 17}), ("BinaryCrossentropy", {}),
    ("CategoricalCrossentropy", {}), ("Hinge", {}), ("SquaredHinge", {}), ("Poisson", {}),
])
def test_metrics_by_themselves(metric, arguments):
    rng = np.random.default_rng(0)
    p = rng.uniform(0.02, 0.98, (60, 4)).astype("float32")
    y = np.eye(4, dtype="float32")[rng.integers(0, 4, 60)]
    weights = rng.uniform(0, 2, 60).astype("float32")
    theirs, own = (getattr(library.metrics, metric)(**arguments) for library in (real, ours))
    for metric in (theirs, own):
        for rows in (slice(0, 30), slice(30, 60)):
            metric.update_state(y[rows], p[rows], weights[rows])
    assert own.name == re.sub(r"_\d+$", "", theirs.name)
    assert own.result() == pytest.approx(float(theirs.result()), rel=2e-5)


@pytest.mark.parametrize("name", ["glorot_uniform", "glorot_normal", "he_uniform", "he_normal", "lecun_normal",
                                  "lecun_uniform", "random_normal", "random_uniform", "truncated_normal", "orthogonal"])
def test_initializers_have_the_same_spread(name):
    theirs, own = (np.asarray(library.initializers.get(name)((300, 200), "float32")) for library in (real, ours))
    assert own.std() == pytest.approx(theirs.std(), rel=0.03)
    assert np.abs(own).max() == pytest.approx(np.abs(theirs).max(), rel=0.25)
    assert own.mean() == pytest.approx(0, abs=4 * own.std() / np.sqrt(own.size))


def test_summary_and_sizes_are_the_same():
    theirs, own = Pair("mse", "sgd").models
    assert own.count_params() == theirs.count_params()
    assert [w.shape for w in own.get_weights()] == [w.shape for w in theirs.get_weights()]
    assert own.output_shape == theirs.output_shape
    assert own.input_shape == theirs.input_shape
    assert [len(layer.get_weights()) for layer in own.layers] == [len(layer.weights) for layer in theirs.layers]


@pytest.mark.parametrize("below, compiled_again", [
    ("dense", True), ("normalized", True), ("normalized_first", True), ("normalized", False),
])
def test_layers_that_are_not_trained(below, compiled_again):
    """A network is trained, its first layers held, the others trained on, by the model itself or by another one."""
    def layers(library):
        kind = library.layers
        dense = kind.Dense(8, activation=None if below == "normalized_first" else "relu", kernel_regularizer="l2")
        return {
            "dense": [dense, kind.Dense(5, activation="tanh")],
            "normalized": [dense, kind.BatchNormalization(), kind.Dense(5, activation="tanh")],
            "normalized_first": [dense, kind.BatchNormalization(), kind.Activation("tanh"), kind.Dense(5)],
        }[below]

    pair = Pair(optimizer="adam_fast", layers=layers)
    pair.agree(1e-3)
    before = [weights.copy() for weights in pair.models[1].get_weights()]
    for model, library in zip(pair.models, (real, ours)):
        for layer in model.layers[:-2]:
            layer.trainable = False
        if compiled_again:
            model.compile(library.optimizers.Adam(0.01), "mse", metrics=["mae"], jit_compile=False)
        else:
            again = library.Sequential([library.Input(shape=(6,)), *model.layers])
            again.compile("nadam", "mse", jit_compile=False)
            pair.models[pair.models.index(model)] = again
    pair.agree(1e-3)
    after = pair.models[1].get_weights()
    held = len(after) - 4
    for old, new in zip(before[:held], after[:held]):
        np.testing.assert_array_equal(old, new)
    assert not np.array_equal(before[held], after[held])
