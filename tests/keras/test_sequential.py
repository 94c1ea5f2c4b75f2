"""Sequential as scripts for Keras use it: the tutorial's own, stacks of layers, training, bad input, small modules."""

import copy
import importlib
import re
import subprocess
import sys

import numpy as np
import pytest
from sequential_cases import BINARY, CODES, REAL, X, classifier, same

from fasttrain._kernels import prediction
from fasttrain import activations, keras, losses, num_threads, optimizers, penalties
from fasttrain.callbacks import Callback
from fasttrain.keras import layers
from fasttrain.models import Sequential
from fasttrain.training import DivergenceError


@pytest.fixture(autouse=True)
def _seeded():
    keras.utils.set_random_seed(0)


# ---- the tutorial's scripts ----

TUTORIAL = '''
import keras

# 创建神经网络结构
model = keras.models.Sequential()
model.add(keras.layers.Dense(64, activation='relu', input_dim=100))
model.add(keras.layers.Dense(32, activation='relu'))
model.add(keras.layers.Dense(1, activation='sigmoid'))
'''
TRAINING = '''
import numpy as np
x = np.random.default_rng(0).normal(size=(200, 100))
y = (x[:, 0] > 0).astype(int)
model.compile(optimizer='adam', loss='binary_crossentropy', metrics=['accuracy'])
from sklearn.model_selection import KFold
kf = KFold(n_splits=5, shuffle=True, random_state=42)
for train_index, test_index in kf.split(x):
    x_train, x_test = x[train_index], x[test_index]
    y_train, y_test = y[train_index], y[test_index]
    model.fit(x_train, y_train)
    accuracy = model.evaluate(x_test, y_test)
    print("Accuracy:", accuracy)
'''


@pytest.mark.parametrize("line", ["from fasttrain import keras", "import fasttrain as keras"])
def test_the_tutorials_script_with_only_its_import_changed(line, capsys):
    names = {}
    exec(TUTORIAL.replace("import keras", line) + TRAINING, names)
    assert names["model"].count_params() == 8577
    out = capsys.readouterr().out
    assert out.count("Accuracy: [") == 5
    assert out.count("Epoch 1/1") == 5


@pytest.mark.parametrize("lines", [
    "from fasttrain.models import Sequential\nfrom fasttrain.layers import Dense",
    "from fasttrain.keras.models import Sequential\nfrom fasttrain.keras.layers import Dense",
])
def test_other_ways_to_import(lines):
    names = {}
    exec(lines + "\nmodel = Sequential([Dense(3, input_shape=(4,))])", names)
    assert names["model"].count_params() == 15


def test_import_is_light():
    program = ("import sys\nfrom fasttrain import keras\n"
               "keras.models.Sequential([keras.layers.Dense(1, input_dim=2)])\n"
               "print(sorted({'sklearn', 'scipy', 'pandas', 'keras', 'jax'} & set(sys.modules)))")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout.strip() == "[]", done.stderr


# ---- building ----

def test_layers_are_built_when_the_shape_is_known():
    model = Sequential([layers.Dense(5, "relu"), layers.Dropout(0.5), layers.Dense(2)])
    assert not model.built
    assert model.output_shape is None
    model.build((None, 4))
    assert model.built
    assert model.input_shape == (None, 4)
    assert model.output_shape == (None, 2)
    assert [layer.output_shape for layer in model.layers] == [(None, 5), (None, 5), (None, 2)]
    assert [w.shape for w in model.get_weights()] == [(4, 5), (5,), (5, 2), (2,)]
    assert {w.dtype for w in model.get_weights()} == {np.dtype("float32")}


def test_fit_builds_from_x():
    model = Sequential([layers.Dense(4, "relu"), layers.Dense(2)])
    model.compile("sgd", "mse")
    model.fit(X, REAL, verbose=0)
    assert model.input_shape == (None, 6)


def test_add_and_pop():
    model = Sequential([layers.Dense(4, input_dim=6)])
    top = layers.Dense(3)
    model.add(top)
    model.compile("sgd", "mse")
    assert model.pop() is top
    assert model.layers[-1].units == 4
    model.add(layers.Dense(2))
    model.fit(X, REAL, verbose=0)
    assert model.predict(X).shape == (120, 2)
    with pytest.raises(ValueError, match="no layers"):
        Sequential().pop()


def test_layers_shared_by_two_models_have_one_set_of_weights():
    model = classifier()
    features = Sequential(model.layers[:-1])
    before = features.predict(X)
    assert before.shape == (120, 16)
    model.fit(X, CODES, verbose=0)
    after = features.predict(X)
    kernel, bias = model.layers[0].get_weights()
    np.testing.assert_allclose(after, np.maximum(X @ kernel + bias, 0), rtol=1e-5, atol=1e-6)
    assert not np.allclose(before, after)
    features.layers[0].set_weights([np.zeros_like(kernel), bias])
    assert not model.layers[0].kernel.any()
    assert len(np.unique(model.predict(X), axis=0)) == 1


def test_summary_names_layers_and_counts(capsys):
    model = Sequential(
        [layers.Dense(5, "relu", name="below", input_dim=4), layers.Dense(2, name="top")], name="two")
    model.summary()
    out = capsys.readouterr().out
    assert 'Model: "two"' in out
    assert re.search(r"below \(Dense, relu\) +\(None, 5\) +25\n", out)
    assert re.search(r"top \(Dense\) +\(None, 2\) +12\n", out)
    assert "Total params: 37" in out
    lines = []
    model.summary(print_fn=lines.append)
    assert lines == [out.rstrip("\n")]


@pytest.mark.parametrize("stack, message", [
    ([], "a Dense layer at least"),
    ([layers.Dropout(0.1)], "a Dense layer at least"),
    ([layers.Activation("relu"), layers.Dense(1)], "must come after a Dense"),
    ([layers.BatchNormalization(), layers.Dense(1)], "Normalization normalizes inputs"),
    ([layers.Dense(2, "relu"), layers.Activation("tanh"), layers.Dense(1)], "after an activation or dropout of 'dense"),
    ([layers.Dense(2), layers.Dropout(0.1), layers.Activation("tanh"), layers.Dense(1)], "after an activation or dro"),
    ([layers.Dense(2), layers.Dropout(0.1), layers.BatchNormalization(), layers.Dense(1)], "after a normalization or"),
    ([layers.Dense(2, "softmax"), layers.Dense(1)], "only the last Dense"),
    ([layers.Dense(2), layers.Dropout(0.5)], "after which there is no"),
    ([layers.Dense(2), layers.BatchNormalization()], "after which there is no"),
    ([layers.Dense(2), layers.Flatten(), layers.Dense(2)], "must come before all layers that train or draw"),
    ([layers.Dense(2), layers.Rescaling(2), layers.Dense(2)], "must come before all layers that train or draw"),
    ([layers.Dropout(0.1), layers.Normalization(), layers.Dense(2)], "must come before all layers that train or draw"),
    ([layers.Dense(2), layers.GaussianNoise(0.1), layers.Dense(2)], "must come before the first Dense"),
    ([layers.Dropout(0.1), layers.GaussianNoise(0.1), layers.Dense(2)], "must come before the first Dense"),
    ([layers.Dense(2), layers.BatchNormalization(), layers.ReLU(), layers.Dense(2),
      layers.BatchNormalization(momentum=0.5), layers.Dense(2)], "one momentum"),
])
def test_stacks_that_the_engine_has_not(stack, message):
    model = Sequential(stack)
    with pytest.raises(ValueError, match=message):
        model.predict(X)


def test_flatten_and_an_input_of_images():
    images = X.reshape(120, 2, 3)
    model = Sequential([layers.Input((2, 3)), layers.Flatten(), layers.Dense(3, "softmax")])
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(images, CODES, verbose=0)
    assert model.predict(images).shape == (120, 3)
    with pytest.raises(ValueError, match=r"rows of shape \(2, 3\)"):
        model.predict(X)


def test_dropout_only_while_training_and_of_the_right_share():
    top = layers.Dense(1, use_bias=False, kernel_initializer="ones")
    model = Sequential([layers.Input((400,)), layers.Dropout(0.25), top])
    model.compile(keras.optimizers.SGD(0.0), "mse")
    ones = np.ones((500, 400), dtype="float32")
    np.testing.assert_allclose(model.predict(ones), 400)
    # squared distance from the mean: 400 draws of a variance r / (1 - r)
    loss = model.fit(ones, np.full(500, 400.0), verbose=0).history["loss"][0]
    assert loss == pytest.approx(400 * 0.25 / 0.75, rel=0.2)


def test_dropout_and_normalization_are_the_same_for_any_number_of_threads():
    results = []
    before = prediction.set_step_per_thread(0.0)
    try:
        for threads in (1, 2, 3):
            keras.utils.set_random_seed(1)
            model = Sequential([
                layers.Dense(20, input_dim=6), layers.BatchNormalization(), layers.Activation("relu"),
                layers.Dropout(0.3), layers.Dense(3, "softmax"),
            ])
            model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
            with num_threads(threads):
                history = model.fit(X, CODES, epochs=3, verbose=0)
            results.append([*(w.tobytes() for w in model.get_weights()), history.history])
    finally:
        prediction.set_step_per_thread(before)
    assert results[0] == results[1] == results[2]


# ---- compile ----

@pytest.mark.parametrize("arguments, kind, message", [
    ({"optimizer": "adamm"}, ValueError, "did you mean 'adam'"),
    ({"optimizer": 3}, TypeError, "optimizer must be"),
    ({"optimizer": optimizers.LBFGS()}, TypeError, "optimizer must be"),
    ({"loss": "sparse"}, ValueError, "loss must be"),
    ({"loss": "triplet"}, ValueError, "loss must be"),
    ({"loss": keras.losses.MeanSquaredError(reduction="none")}, ValueError, "must have a reduction to be trained"),
    ({"loss": "mse", "optimizer": "muon"}, ValueError, "one of the names sgd, rmsprop"),
    ({"loss": "binary_crossentropy"}, ValueError, "activation 'sigmoid', got Softmax"),
    ({"loss": "mse"}, ValueError, "activation 'linear', got Softmax"),
    ({"loss": keras.losses.SparseCategoricalCrossentropy(from_logits=True)}, ValueError, "from_logits=True"),
    ({"metrics": ["acuracy"]}, ValueError, "metric must be"),
    ({"metrics": {"a": "mae"}}, TypeError, "metrics must be a list"),
    ({"loss_weights": [1.0]}, ValueError, "loss_weights must be None"),
])
def test_bad_compile_changes_nothing(arguments, kind, message):
    model = classifier()
    before = model.optimizer, model.loss
    with pytest.raises(kind, match=message):
        model.compile(**{"optimizer": "adam", "loss": "sparse_categorical_crossentropy", **arguments})
    assert (model.optimizer, model.loss) == before


@pytest.mark.parametrize("make, message", [
    (lambda: keras.optimizers.Adam(gradient_accumulation_steps=1), "gradient_accumulation_steps must be"),
    (lambda: keras.optimizers.Ftrl(learning_rate_power=0.5), "learning_rate_power must be"),
    (lambda: keras.optimizers.Ftrl(l1_regularization_strength=-1.0), "l1_regularization_strength must be"),
    (lambda: keras.optimizers.Adam(ema_momentum=1.5), "ema_momentum must be"),
    (lambda: keras.optimizers.Adam(use_ema=True, ema_overwrite_frequency=0), "ema_overwrite_frequency must be"),
    (lambda: keras.optimizers.SGD(clipnorm=1.0, clipvalue=1.0), "only one of clipnorm"),
    (lambda: keras.optimizers.get("adafactor"), "one of the names sgd, .*, got 'adafactor'"),
    (lambda: keras.optimizers.SGD(global_clipnorm=1.0, clipvalue=1.0), "only one"),
    (lambda: keras.optimizers.SGD(-1.0), "learning_rate must be"),
    (lambda: keras.optimizers.RMSprop(rho=1.5), "rho"),
    (lambda: layers.Dense(0), "units must be"),
    (lambda: layers.Dense(3, activation="rellu"), "did you mean 'relu'"),
    (lambda: layers.Dense(3, kernel_initializer="glorot"), "initializer must be"),
    (lambda: layers.Dense(3, bias_regularizer="l2"), "bias_regularizer of Dense must be None"),
    (lambda: layers.Dense(3, kernel_regularizer="l3"), "regularizer must be"),
    (lambda: layers.Dropout(1.0), "rate must be"),
    (lambda: layers.Input(), "one of shape and batch_shape"),
    (lambda: keras.constraints.MaxNorm(axis=1), "axis"),
    (lambda: keras.losses.Huber(delta=0), "delta"),
    (lambda: keras.losses.MeanSquaredError(reduction="total"), "reduction must be one of"),
])
def test_bad_arguments_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("given", [{"x": X}, "x"], ids=lambda given: type(given).__name__)
def test_what_is_neither_an_array_nor_batches_is_refused(given):
    model = classifier()
    before = model.get_weights()
    for call in (
        model.fit, model.evaluate, model.predict, lambda b: model.fit(X, b), lambda b: model.train_on_batch(b, CODES),
        lambda b: model.fit(X, CODES, validation_data=(b, CODES)),
    ):
        with pytest.raises(TypeError, match=r"must be an array, a list, a data frame or a sparse matrix"):
            call(given)
    assert all((old == new).all() for old, new in zip(before, model.get_weights()))


def test_an_unknown_argument_of_an_optimizer_is_a_type_error():
    with pytest.raises(TypeError, match="no argument 'lr'"):
        keras.optimizers.Adam(lr=0.1)


def test_fasttrains_own_vocabulary_is_taken():
    model = Sequential([
        layers.Dense(8, activations.LeakyRelu(0.1), input_dim=6, kernel_regularizer=penalties.L2(0.02)),
        layers.Dense(2),
    ])
    assert model.layers[0].kernel_regularizer.l2 == 0.01
    model.compile(optimizers.Adam(1e-2), losses.Quantile(0.9), metrics=["mae"])
    history = model.fit(X, REAL, epochs=30, verbose=0).history
    assert history["loss"][-1] < history["loss"][0] / 2
    below = (model.predict(X) > REAL).mean()
    assert 0.75 < below < 0.99


def test_l1_gives_exact_zeros():
    model = Sequential([layers.Dense(1, input_dim=6, kernel_regularizer=keras.regularizers.L1(0.3))])
    model.compile(keras.optimizers.SGD(0.05), "mse")
    model.fit(X, X[:, 0], epochs=60, verbose=0)
    kernel = model.get_weights()[0][:, 0]
    assert kernel[0] > 0.5
    assert (kernel[1:] == 0).all()


# ---- fit ----

def test_history_has_keras_keys():
    model = classifier(metrics=["accuracy", "sparse_top_k_categorical_accuracy"], weighted_metrics=["accuracy"])
    history = model.fit(X, CODES, batch_size=16, epochs=4, initial_epoch=1, verbose=0, validation_split=0.25)
    names = ["accuracy", "loss", "sparse_top_k_categorical_accuracy", "weighted_accuracy"]
    assert list(history.history) == [*names, *(f"val_{name}" for name in names)]
    assert history.epoch == [1, 2, 3]
    assert history.params == {"epochs": 4, "steps": 6, "verbose": 0}
    assert history.model is model
    assert model.history is history
    assert model.metrics_names == ["loss", "accuracy", "sparse_top_k_categorical_accuracy", "weighted_accuracy"]


def test_metrics_of_an_epoch_are_those_of_each_batch_before_its_step():
    model = classifier(optimizer=keras.optimizers.SGD(0.5))
    twin = copy.deepcopy(model)
    assert same(model, twin)
    found = model.fit(X, CODES, batch_size=40, shuffle=False, verbose=0).history
    numbers = [twin.train_on_batch(X[i:i + 40], CODES[i:i + 40]) for i in (0, 40, 80)]
    assert same(model, twin)
    np.testing.assert_allclose([found["loss"][0], found["accuracy"][0]], np.mean(numbers, axis=0), rtol=1e-6)


def test_the_same_seed_gives_the_same_model():
    weights = []
    for _ in range(2):
        keras.utils.set_random_seed(5)
        model = classifier()
        model.fit(X, CODES, epochs=3, verbose=0)
        weights.append([w.tobytes() for w in model.get_weights()])
    assert weights[0] == weights[1]
    other = classifier()
    other.fit(X, CODES, epochs=3, verbose=0)
    assert other.get_weights()[0].tobytes() != weights[0][0]


@pytest.mark.parametrize("y, loss, activation", [
    (np.eye(3)[CODES], "categorical_crossentropy", "softmax"),
    (CODES.reshape(-1, 1), "sparse_categorical_crossentropy", "softmax"),
])
def test_one_hot_rows_and_codes_train_the_same(y, loss, activation):
    model = classifier(loss=loss)
    keras.utils.set_random_seed(0)
    plain = classifier()
    for one, target in ((model, y), (plain, CODES)):
        keras.utils.set_random_seed(1)
        one.fit(X, target, epochs=2, verbose=0)
    assert same(model, plain)
    assert model.evaluate(X, y, verbose=0) == pytest.approx(plain.evaluate(X, CODES, verbose=0), rel=1e-6)


@pytest.mark.parametrize("convert", [
    lambda a: a.tolist(), np.asfortranarray, lambda a: a.astype("float64"),
    lambda a: importlib.import_module("pandas").DataFrame(a),
    lambda a: importlib.import_module("scipy.sparse").csr_array(a),
    lambda a: np.repeat(a, 2, axis=0)[::2],
])
def test_what_x_may_be(convert):
    model, plain = classifier(), None
    plain = copy.deepcopy(model)
    for one, x in ((model, convert(X)), (plain, X)):
        one.fit(x, CODES, shuffle=False, verbose=0)
    assert same(model, plain)
    assert model.predict(convert(X)).tobytes() == plain.predict(X).tobytes()


def test_x_of_one_axis_is_one_feature():
    model = Sequential([layers.Dense(1, input_dim=1)])
    model.compile("sgd", "mse")
    model.fit(X[:, 0], X[:, 0] * 2, epochs=50, verbose=0)
    assert model.predict([3.0]).shape == (1, 1)
    assert model.predict([3.0])[0, 0] == pytest.approx(6, rel=0.05)


def test_x_is_neither_copied_nor_changed():
    model = classifier()
    x = X.copy()
    x.flags.writeable = False
    model.fit(x, CODES, epochs=2, verbose=0, validation_split=0.1)
    assert (x == X).all()


class EachBatch(Callback):
    def on_train_batch_end(self, batch, logs=None):
        raise AssertionError


BAD = X.copy()
BAD[3, 2] = np.nan


@pytest.mark.parametrize("arguments, kind, message", [
    ({"x": X[:, :5]}, ValueError, r"rows of shape \(6,\)"),
    ({"x": BAD}, ValueError, "x must hold finite"),
    ({"x": X.astype("float64") * 1e300}, ValueError, "x must hold finite numbers of float32"),
    ({"x": X[:0], "y": CODES[:0]}, ValueError, "at least one row"),
    ({"x": iter([(X, CODES)])}, ValueError, "y must not be given where x yields batches"),
    ({"x": None}, ValueError, "x must be given"),
    ({"y": None}, ValueError, "y must be given"),
    ({"y": CODES[:50]}, ValueError, "y must have 120 rows"),
    ({"y": CODES + 1}, ValueError, "class codes from 0 to 2"),
    ({"y": CODES - 0.5}, ValueError, "class codes from 0 to 2"),
    ({"y": np.eye(3)[CODES]}, ValueError, "class codes"),
    ({"y": np.array(["a"] * 120)}, TypeError, "real numbers"),
    ({"batch_size": 0}, ValueError, "batch_size must be"),
    ({"batch_size": 2.5}, TypeError, "batch_size must be"),
    ({"epochs": -1}, ValueError, "epochs must be"),
    ({"verbose": 7}, ValueError, "verbose must be"),
    ({"shuffle": "batch"}, TypeError, "shuffle must be"),
    ({"validation_split": 1.0}, ValueError, "validation_split"),
    ({"validation_split": 0.999}, ValueError, "none to train on"),
    ({"validation_data": X}, ValueError, "validation_data must be"),
    ({"validation_data": (X[:, :3], CODES)}, ValueError, "rows of shape"),
    ({"validation_data": (X, CODES + 5)}, ValueError, "class codes"),
    ({"sample_weight": np.ones(3)}, ValueError, "sample_weight must have shape"),
    ({"sample_weight": -np.ones(120)}, ValueError, "numbers >= 0"),
    ({"class_weight": {7: 1.0}}, ValueError, "keys from 0 to 2, got 7"),
    ({"class_weight": {0: -1.0}}, ValueError, r"class_weight\[0\]"),
    ({"class_weight": [1, 2]}, TypeError, "class_weight must be a dict"),
    ({"class_weight": {0: 2.0}, "sample_weight": np.ones(120)}, ValueError, "only one of class_weight"),
    ({"steps_per_epoch": 3}, ValueError, "steps_per_epoch must be None"),
    ({"validation_steps": 3}, ValueError, "validation_steps must be None"),
    ({"callbacks": ["stop"]}, TypeError, "callbacks must be"),
    ({"callbacks": [EachBatch()]}, ValueError, "on_train_batch_end is a hook of Keras's protocol"),
    ({"resume_from": "nowhere"}, ValueError, "nowhere"),
])
def test_bad_input_to_fit_changes_nothing(arguments, kind, message):
    model = classifier()
    model.fit(X, CODES, verbose=0)
    before = copy.deepcopy(model)
    with pytest.raises(kind, match=message):
        model.fit(**{"x": X, "y": CODES, "verbose": 0, **arguments})
    assert same(model, before)
    assert model.optimizer.iterations == before.optimizer.iterations
    for one in (model, before):
        one.fit(X, CODES, shuffle=False, verbose=0)
    assert same(model, before)


@pytest.mark.parametrize("loss, activation, y, message", [
    ("binary_crossentropy", "sigmoid", REAL[:, 0], "from 0 to 1"),
    ("poisson", "exponential", -np.ones(120), "numbers >= 0"),
    ("hinge", None, CODES, "-1 and 1, or 0 and 1"),
    ("mse", None, REAL, r"shape \(120, 1\)"),
    ("mse", None, np.full(120, np.inf), "finite"),
])
def test_targets_that_a_loss_does_not_take(loss, activation, y, message):
    model = Sequential([layers.Dense(1, activation, input_dim=6)])
    model.compile("sgd", loss)
    with pytest.raises(ValueError, match=message):
        model.fit(X, y, verbose=0)


@pytest.mark.parametrize("method", ["fit", "evaluate", "train_on_batch"])
def test_a_model_must_be_compiled_to_train(method):
    model = Sequential([layers.Dense(1, input_dim=6)])
    with pytest.raises(ValueError, match="compiled first"):
        getattr(model, method)(X, BINARY)
    model.compile("sgd")
    with pytest.raises(ValueError, match="without a loss"):
        getattr(model, method)(X, BINARY)
    assert model.predict(X).shape == (120, 1)


def test_divergence_names_the_epoch_and_leaves_the_model_as_it_was():
    model = Sequential([layers.Dense(8, "relu", input_dim=6), layers.Dense(2)])
    model.compile(keras.optimizers.SGD(0.01, momentum=0.9), "mse")
    model.fit(X, REAL, verbose=0)
    before = copy.deepcopy(model)
    model.optimizer.learning_rate = 1e18
    with pytest.raises(DivergenceError, match=r"epoch \d+.*learning rate"):
        model.fit(X, REAL, epochs=50, verbose=0)
    assert same(model, before)
    model.train_on_batch(X, REAL)
    with pytest.raises(DivergenceError, match="the step diverged"):
        _steps(model, 20)
    assert all(np.isfinite(w).all() for w in model.get_weights())


def _steps(model, n):
    for _ in range(n):
        model.train_on_batch(X, REAL)


def test_fewer_lines_with_verbose_0(capsys):
    model = classifier()
    model.fit(X, CODES, epochs=2, verbose=2, validation_split=0.1)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Epoch 1/2"
    assert re.fullmatch(
        r"4/4 - \d+s - [\d.e+]+ms/step - accuracy: \d\.\d{4} - loss: \d\.\d{4} - val_accuracy: \d\.\d{4} - "
        r"val_loss: \d\.\d{4}", lines[1])
    assert len(lines) == 4
    model.evaluate(X, CODES)
    assert re.fullmatch(r"loss: \d\.\d{4} - accuracy: \d\.\d{4}\n", capsys.readouterr().out)
    model.fit(X, CODES, verbose=0)
    model.evaluate(X, CODES, verbose=0)
    model.predict(X)
    assert capsys.readouterr().out == ""


def test_validation_freq_and_functions_as_metrics():
    def gap(y_true, y_pred):
        return np.abs(y_true - y_pred).max(axis=1)

    model = Sequential([layers.Dense(2, input_dim=6)])
    model.compile("sgd", "mse", metrics=[gap, keras.metrics.RootMeanSquaredError()])
    history = model.fit(X, REAL, epochs=5, verbose=0, validation_split=0.5, validation_freq=2).history
    assert len(history["loss"]) == 5
    assert len(history["val_loss"]) == len(history["val_gap"]) == 2
    numbers = model.evaluate(X, REAL, verbose=0, return_dict=True)
    error = REAL - model.predict(X)
    assert numbers["gap"] == pytest.approx(np.abs(error).max(axis=1).mean(), rel=1e-5)
    assert numbers["root_mean_squared_error"] == pytest.approx(np.sqrt(np.square(error).mean()), rel=1e-5)
    assert numbers["loss"] == pytest.approx(np.square(error).mean(), rel=1e-5)


# ---- the small modules ----

def test_initializers_with_a_seed_repeat_themselves():
    for name in keras.initializers.__all__:
        kind = getattr(keras.initializers, name)
        # the older names are the same classes
        if name in ("Initializer", "Constant", "Ones", "Zeros", "Identity", "IdentityInitializer") or name[0].islower():
            continue
        first, second, other = kind(seed=1), kind(seed=1), kind(seed=2)
        a = first((4, 6), "float64")
        assert np.array_equal(a, second((4, 6), "float64"))
        assert np.array_equal(a, first((4, 6), "float64"))
        assert not np.array_equal(a, other((4, 6), "float64"))
        again = keras.initializers.get({"class_name": name, "config": first.get_config()})
        assert np.array_equal(a, again((4, 6), "float64"))
    layer = layers.Dense(
        3, kernel_initializer=lambda shape, dtype: np.full(shape, 2.0), bias_initializer="ones", input_dim=2)
    assert (Sequential([layer]).get_weights()[0] == 2).all()
    assert (layer.bias == 1).all()


def test_glorot_and_he_have_their_variance():
    for name, variance in (("glorot_uniform", 2 / 500), ("he_normal", 2 / 300), ("lecun_uniform", 1 / 300)):
        w = keras.initializers.get(name)((300, 200), "float64")
        assert w.var() == pytest.approx(variance, rel=0.05)
        assert w.mean() == pytest.approx(0, abs=4 * np.sqrt(variance / w.size))
    q = keras.initializers.Orthogonal(gain=2.0)((30, 20), "float64")
    np.testing.assert_allclose(q.T @ q, 4 * np.eye(20), atol=1e-12)


def test_metrics_by_hand():
    metrics = keras.metrics
    assert metrics.Precision()([1, 0, 1, 1], [0.9, 0.8, 0.3, 0.7]) == pytest.approx(2 / 3)
    assert metrics.Recall()([1, 0, 1, 1], [0.9, 0.8, 0.3, 0.7]) == pytest.approx(2 / 3)
    assert metrics.AUC()([0, 0, 1, 1], [0, 0.5, 0.3, 0.9]) == pytest.approx(0.75)
    assert metrics.R2Score()([1.0, 2.0, 3.0], [1.0, 2.0, 4.0]) == pytest.approx(0.5)
    score = metrics.F1Score(threshold=0.5)([[1], [0], [1]], [[0.9], [0.6], [0.2]])
    assert score.tolist() == pytest.approx([0.5], abs=1e-6)
    assert metrics.MeanAbsolutePercentageError()([2.0, 4.0], [1.0, 5.0]) == pytest.approx(37.5)
    weighted = metrics.BinaryAccuracy()
    weighted.update_state([1, 1, 0, 0], [0.98, 1, 0, 0.6], sample_weight=[1, 0, 0, 1])
    assert weighted.result() == 0.5
    weighted.reset_state()
    assert weighted.result() == 0
    assert metrics.SparseTopKCategoricalAccuracy(k=2)([0, 1], [[0.2, 0.5, 0.3], [0.1, 0.6, 0.3]]) == 0.5


def test_to_categorical():
    to = keras.utils.to_categorical
    assert to([[1], [0]], 3).tolist() == [[0, 1, 0], [1, 0, 0]]
    for bad, kwargs in (([-1], {}), ([0.5], {}), ([3], {"num_classes": 3})):
        with pytest.raises(ValueError):
            to(bad, **kwargs)
