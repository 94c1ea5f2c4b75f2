"""Chains written in Keras's functional way, variables, schedules, metrics, losses of one's own, and what stays out."""

import numpy as np
import pytest
from sequential_cases import BINARY, CODES, REAL, X, classifier, same

from fasttrain import keras
from fasttrain.models import Sequential

# ---- the functional way ----


def chain():
    inputs = keras.Input(shape=(6,))
    hidden = keras.layers.Dense(8, name="below")(inputs)
    hidden = keras.layers.BatchNormalization()(hidden)
    hidden = keras.layers.Activation("relu")(hidden)
    return inputs, hidden


def test_a_chain_is_the_sequential_that_it_is():
    inputs, hidden = chain()
    assert hidden.shape == (None, 8)
    model = keras.Model(inputs=inputs, outputs=keras.layers.Dense(3, "softmax")(hidden), name="chain")
    assert type(model) is Sequential
    assert isinstance(model, keras.Model)
    assert model.layers[0].name == "below"
    assert model.name == "chain"
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(X, CODES, verbose=0)
    other = Sequential([keras.Input((6,)), *keras.models.clone_model(model).layers])
    other.set_weights(model.get_weights())
    np.testing.assert_array_equal(other.predict(X), model.predict(X))
    # and a layer called on an array
    z = X
    for layer in model.layers:
        z = layer(z)
    np.testing.assert_allclose(z, model.predict(X), rtol=1e-5, atol=1e-6)


def test_what_is_no_chain_names_its_layer():
    inputs, hidden = chain()
    shared = keras.layers.Dense(8, name="twice")
    with pytest.raises(ValueError, match="layer 'twice' is shared"):
        keras.Model(inputs, shared(shared(hidden)))
    left, right = keras.layers.Dense(2, name="left")(hidden), keras.layers.Dense(2, name="right")(hidden)
    with pytest.raises(ValueError, match=r"outputs must be one, .* got 2: 'left', 'right'"):
        keras.Model(inputs, [left, right])
    second = keras.Input(shape=(3,), name="second")
    with pytest.raises(ValueError, match=r"inputs must be one, .*'second'"):
        keras.Model([inputs, second], left)
    with pytest.raises(ValueError, match=r"layer 'below' is called on input .*, which is not inputs, 'second'"):
        keras.Model(second, left)
    with pytest.raises(TypeError, match="the output of layer 'left' goes into arithmetic"):
        left + right
    with pytest.raises(ValueError, match="layer 'join' is called on 2 inputs"):
        keras.layers.Dense(2, name="join")([left, right])
    with pytest.raises(ValueError, match=r"takes rows of shape \(None, 8\)"):
        shared(inputs)
    with pytest.raises(TypeError, match="outputs must be what a layer called on an input gives"):
        keras.Model(inputs, X)
    assert type(keras.Model(inputs, [left])) is Sequential


@pytest.mark.parametrize("make, message", [
    (lambda: keras.layers.Conv2D, "it is a convolution; fasttrain trains dense networks, so build it with Keras"),
    (lambda: keras.layers.LSTM, "it is a layer of sequences"),
    (lambda: keras.layers.Concatenate, "it is a join of several branches"),
    (lambda: keras.layers.concatenate, "it is a join of several branches"),
    (lambda: keras.layers.Embedding, "it is an encoding of categories"),
    (lambda: keras.layers.LayerNormalization, "it is another normalization"),
    (lambda: keras.layers.AlphaDropout, "it is another noise"),
    (lambda: keras.optimizers.Adafactor, "it is a rule of factors of a layer's array"),
    (lambda: keras.optimizers.Muon, "it is a rule of products of a layer's array"),
    (lambda: keras.layers.Dens, "did you mean 'Dense'"),
    (lambda: keras.metrics.MeanIoU, "it is a metric of segmented images"),
    (lambda: keras.losses.CTC, "it is a loss of sequences"),
    (lambda: keras.callbacks.RemoteMonitor, "it is a logger to a server"),
    (lambda: keras.utils.plot_model, "it is a drawing of a graph"),
    (lambda: keras.applications, "it is the networks of images"),
    (lambda: keras.optimizers.Adm, "did you mean 'Adam'"),
])
def test_what_stays_out_says_so(make, message):
    with pytest.raises(AttributeError, match=message):
        make()


def test_computations_of_ones_own_say_so():
    with pytest.raises(TypeError, match="Mine is a layer of one's own"):
        class Mine(keras.layers.Layer):
            def call(self, x):
                return x

    with pytest.raises(TypeError, match="Net is a model with its own computation"):
        class Net(keras.Model):
            def call(self, x):
                return x


# ---- variables and optimizers ----

def test_variables_of_layers_read_and_write_the_model():
    model = classifier()
    model.fit(X, CODES, verbose=0)
    kernel = model.layers[0].kernel
    assert [v.path.split("/")[1] for v in model.trainable_weights] == ["kernel", "bias"] * 2
    assert kernel.shape == (6, 16)
    assert kernel.dtype == "float32"
    np.testing.assert_array_equal(kernel.numpy(), model.get_weights()[0])
    np.testing.assert_array_equal(kernel * 2, model.get_weights()[0] * 2)
    assert float(kernel.mean()) == pytest.approx(model.get_weights()[0].mean())
    kernel.assign(np.zeros((6, 16)))
    kernel.assign_add(np.ones((6, 16)))
    np.testing.assert_array_equal(model.get_weights()[0], 1)
    assert len(np.unique(model.predict(np.zeros((5, 6))), axis=0)) == 1
    with pytest.raises(ValueError, match=r"shape \(6, 16\), got \(3,\)"):
        kernel.assign(np.zeros(3))
    with pytest.raises(ValueError, match="finite"):
        kernel.assign(np.full((6, 16), np.nan))
    model.layers[0].trainable = False
    assert len(model.trainable_weights) == 2
    assert len(model.non_trainable_weights) == 2


def test_a_statistic_that_no_layer_may_hold_is_not_assigned():
    normalization = keras.layers.BatchNormalization(epsilon=0.25)
    adapted = keras.layers.Normalization()
    adapted.adapt(np.array([[0.0, 1.0], [2.0, 5.0]]))
    model = keras.Sequential([keras.Input((2,)), adapted, keras.layers.Dense(2), normalization, keras.layers.Dense(1)])
    before = model.predict(np.ones((3, 2)))
    variance = next(v for v in normalization.non_trainable_weights if v.name == "moving_variance")
    for number in (-0.25, -3.0):
        with pytest.raises(ValueError, match=r"moving_variance must hold numbers > -epsilon, -0.25, got"):
            variance.assign([1.0, number])
    with pytest.raises(ValueError, match="moving_variance must hold numbers > -epsilon"):
        variance.assign_sub([0.0, 2.0])
    variance = next(v for v in adapted.weights if v.name == "variance")
    with pytest.raises(ValueError, match="variance must hold numbers >= 0, got -1"):
        variance.assign([-1.0, 1.0])
    np.testing.assert_array_equal(model.predict(np.ones((3, 2))), before)
    variance = next(v for v in normalization.non_trainable_weights if v.name == "moving_variance")
    variance.assign([-1e-6, 4.0])
    assert np.isfinite(model.predict(np.ones((3, 2)))).all()
    assert (model.predict(np.ones((3, 2))) != before).any()


def test_rates_are_assigned_to():
    optimizer = keras.optimizers.Adam(0.01)
    assert optimizer.learning_rate == 0.01
    assert optimizer.learning_rate.numpy() == 0.01
    optimizer.learning_rate.assign(0.5)
    assert float(optimizer.learning_rate) == 0.5
    assert optimizer.iterations.numpy() == 0
    with pytest.raises(ValueError, match="weight_decay"):
        keras.optimizers.AdamW(weight_decay=-1.0)
    with pytest.raises(TypeError, match="weight_decay"):
        keras.optimizers.AdamW(weight_decay=None)


@pytest.mark.parametrize("name", ["SGD", "RMSprop", "Adagrad", "Adadelta", "Adam", "AdamW", "Nadam", "Lion", "Adamax",
                                  "Ftrl", "Lamb"])
@pytest.mark.parametrize("steps", [None, 2])
def test_gradients_applied_by_hand_are_the_models_steps(name, steps):
    """A linear model of half squared errors, whose gradients are known."""
    kind = getattr(keras.optimizers, name)
    settings = {"gradient_accumulation_steps": steps, **({"momentum": 0.9} if name == "SGD" else {})}
    model = Sequential([keras.layers.Dense(2, input_dim=6)])
    model.compile(kind(0.01, clipnorm=0.5, **settings), "mse")
    kernel, bias = (keras.Variable(w, name="own") for w in model.get_weights())
    array = model.get_weights()[0].astype("float64")
    own, of_array = kind(0.01, clipnorm=0.5, **settings), kind(0.01, clipnorm=0.5, **settings)
    for start in (0, 40, 80):
        x, y = X[start:start + 40], REAL[start:start + 40]
        difference = (x @ kernel.numpy() + bias.numpy() - y) / len(x)
        own.apply_gradients([(x.T @ difference, kernel), (difference.sum(axis=0), bias)])
        of_array.apply([x.T @ difference], [array])
        model.train_on_batch(x, y)
    for mine, theirs in zip((kernel, bias), model.get_weights()):
        np.testing.assert_allclose(mine.numpy(), theirs, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(array, kernel.numpy(), rtol=1e-4, atol=1e-6)
    assert own.iterations == model.optimizer.iterations == 3 // (steps or 1)
    with pytest.raises(ValueError, match="must be those of build"):
        own.apply([np.zeros(2)], [bias])


def test_gradients_that_are_added_up_by_hand():
    optimizer, variable = keras.optimizers.SGD(1.0, gradient_accumulation_steps=2), keras.Variable(np.zeros(3, "f4"))
    gradient = np.ones(3, "f4")
    optimizer.apply([gradient], [variable])
    # which is the caller's
    gradient[:] = 100
    with pytest.raises(ValueError, match=r"shapes of the variables, got \(2,\) for variable 0 of shape \(3,\)"):
        optimizer.apply([np.ones(2, "f4")])
    optimizer.apply([np.ones(3, "f4")])
    np.testing.assert_array_equal(variable.numpy(), [-1, -1, -1])
    # half an update is none of other variables, nor of another number
    for forget in (lambda: optimizer.build([variable]), lambda: setattr(optimizer, "iterations", 1)):
        optimizer.apply([np.ones(3, "f4")])
        forget()
        for _ in range(2):
            optimizer.apply([np.zeros(3, "f4")])
    np.testing.assert_array_equal(variable.numpy(), [-1, -1, -1])
    assert optimizer.iterations == 2


def test_clipping_of_each_array_in_numpy():
    from fasttrain.optimizers import GradientDescent

    params = {"a": np.zeros(2), "b": np.zeros(3)}
    optimizer = GradientDescent(1.0, clip_each_norm=1.0)
    optimizer.step(params, {"a": np.array([3.0, 4.0]), "b": np.array([0.1, 0.0, 0.0])}, optimizer.init(params))
    np.testing.assert_allclose(params["a"], [-0.6, -0.8])
    np.testing.assert_allclose(params["b"], [-0.1, 0, 0])
    with pytest.raises(ValueError, match="only one of clip_norm and clip_each_norm"):
        GradientDescent(clip_norm=1.0, clip_each_norm=1.0)


def test_a_grid_of_linear_models_with_clipped_arrays_is_one_of_single_fits():
    from sklearn.base import clone
    from sklearn.model_selection import GridSearchCV as Stock

    from fasttrain.linear_model import LinearRegressor
    from fasttrain.model_selection import GridSearchCV
    from fasttrain.optimizers import Momentum

    model = LinearRegressor(optimizer=Momentum(0.05, clip_each_norm=0.1), max_iter=20, tol=None, random_state=0)
    grid = {"penalty": [None, "l2"]}
    ours = GridSearchCV(clone(model), grid, cv=3).fit(X, REAL[:, 0])
    stock = Stock(clone(model), grid, cv=3).fit(X, REAL[:, 0])
    np.testing.assert_array_equal(ours.cv_results_["mean_test_score"], stock.cv_results_["mean_test_score"])


def test_averages_take_the_weights_place_when_a_fit_ends():
    plain, averaged = (classifier(optimizer=keras.optimizers.SGD(0.1, **settings)) for settings in (
        {}, {"use_ema": True, "ema_momentum": 0.5}))
    averaged.set_weights(plain.get_weights())
    seen = []
    record = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: seen.append(plain.get_weights()))
    plain.fit(X, CODES, shuffle=False, verbose=0, callbacks=[record])
    averaged.fit(X, CODES, shuffle=False, verbose=0)
    mean = seen[0]
    for weights in seen[1:]:
        mean = [0.5 * a + 0.5 * b for a, b in zip(mean, weights)]
    for a, b in zip(averaged.get_weights(), mean):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_schedules_are_asked_once_an_epoch_and_are_saved(tmp_path):
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([4, 6], [0.1, 0.05, 0.01])
    model = classifier(optimizer=keras.optimizers.SGD(schedule))
    model.fit(X, CODES, epochs=2, verbose=0)
    assert float(model.optimizer.learning_rate) == 0.01
    model.save(tmp_path / "model")
    again = keras.models.load_model(tmp_path / "model")
    assert again.optimizer.schedule.get_config() == schedule.get_config()
    for one in (model, again):
        one.fit(X, CODES, shuffle=False, verbose=0)
    assert same(model, again)
    for bad in (
        lambda s: s.ExponentialDecay(0.1, 0, 0.5), lambda s: s.PiecewiseConstantDecay([1, 2], [0.1, 0.2]),
        lambda s: s.PiecewiseConstantDecay([2, 1], [0.1, 0.2, 0.3]), lambda s: s.PolynomialDecay(-0.1, 3),
    ):
        with pytest.raises(ValueError, match="must"):
            bad(keras.optimizers.schedules)


def test_a_schedule_of_ones_own():
    class Halves(keras.optimizers.schedules.LearningRateSchedule):
        def __call__(self, step):
            return 0.1 * 0.5**step

    model = classifier(optimizer=keras.optimizers.SGD(Halves()))
    model.fit(X, CODES, batch_size=40, verbose=0)
    assert float(model.optimizer.learning_rate) == pytest.approx(0.1 * 0.25)


# ---- metrics and losses ----

def test_metrics_of_ones_own_with_variables():
    class Positives(keras.metrics.Metric):
        def __init__(self, name="positives", **kwargs):
            super().__init__(name=name, **kwargs)
            self.found = self.add_weight(name="found", initializer="zeros")

        def update_state(self, y_true, y_pred, sample_weight=None):
            self.found.assign_add(keras.ops.sum(keras.ops.cast(y_pred > 0.5, "float32")))

        def result(self):
            return self.found

    model = Sequential([keras.layers.Dense(1, "sigmoid", input_dim=6)])
    model.compile("sgd", "binary_crossentropy", metrics=[Positives()])
    history = model.fit(X, BINARY, epochs=2, verbose=0)
    assert len(history.history["positives"]) == 2
    assert model.evaluate(X, BINARY, verbose=0)[1] == (model.predict(X) > 0.5).sum()


@pytest.mark.parametrize("call, message", [
    (lambda m: m.F1Score()([1, 0], [0.5, 0.6]), r"must have shape \(n, k\)"),
    (lambda m: m.AUC(curve="XY"), "curve must be"),
    (lambda m: m.AUC(num_labels=3), "num_labels must be None"),
    (lambda m: m.AUC(multi_label=True)([1, 0], [0.5, 0.6]), "with multi_label"),
    (lambda m: m.AUC(multi_label=True, num_labels=3)([[1, 0]], [[0.5, 0.6]]), r"\(n, 3\)"),
    (lambda m: m.Precision(thresholds=1.5), "thresholds must be"),
    (lambda m: m.Precision(class_id=2)([[1, 0]], [[0.5, 0.6]]), "class_id must be below"),
    (lambda m: m.Recall(class_id=0)([1, 0], [0.5, 0.6]), "for class_id"),
    (lambda m: m.Precision(top_k=0), "top_k must be"),
    (lambda m: m.MeanSquaredError()([1.0, 2.0], [[1.0, 2.0], [3.0, 4.0]]), "must have the shape of y_pred"),
    (lambda m: m.MeanSquaredError()(np.zeros((4, 1)), np.zeros((2, 2))), "must have the shape of y_pred"),
    (lambda m: m.RecallAtPrecision(1.5), "precision must be"),
    (lambda m: m.F1Score(threshold=1.5), "threshold must be"),
    (lambda m: m.F1Score(average="all"), "average must be"),
])
def test_bad_metrics_and_shapes(call, message):
    with pytest.raises(ValueError, match=message):
        call(keras.metrics)


OPERATIONS = {
    "arithmetic": lambda o, x: (x + 2) * x / (3 - x) - 1 / x + x**3 + 2**x - (-x),
    "exponentials": lambda o, x: o.exp(x) + o.expm1(x) + o.log(x) + o.log1p(x) + o.sqrt(x) + o.rsqrt(x),
    "squashing": lambda o, x: o.tanh(x) + o.sigmoid(x) + o.softplus(x) + o.relu(x - 0.5) + o.square(x) + o.abs(x - 0.4),
    "choices": lambda o, x: o.maximum(x, 0.7) * o.minimum(x, 0.9) + o.where(x > 0.6, x * x, x) + o.clip(x, 0.3, 1.1),
    "powers": lambda o, x: o.power(x, 2.5) + o.power(x, x) + o.reciprocal(x),
    "reductions": lambda o, x: o.mean(x * x, axis=-1) + o.max(x, axis=1) - o.min(x, axis=1) + o.norm(x, axis=1),
    "kept axes": lambda o, x: x / o.sum(x, axis=-1, keepdims=True) * o.mean(x) + o.softmax(x) ** 2,
    "shapes": lambda o, x: o.sum(o.reshape(o.transpose(x), (-1,)) * np.arange(12.0)) + o.squeeze(
        o.expand_dims(x, 1), 1)[1:, 0],
    "parts": lambda o, x: o.concatenate([x[:, :1] * 2, x[:, 2:] ** 2], axis=1) * x[:, :3],
    "along": lambda o, x: o.take_along_axis(x * x, np.array([[0, 0], [2, 1], [1, 1]]), axis=1),
    "matrices": lambda o, x: o.matmul(x, o.transpose(x)) @ np.ones((3, 2)),
    "axes from the end": lambda o, x: o.transpose(o.reshape(x, (3, 2, 2)), (-1, 0, -2)) * np.arange(12.0).reshape(
        2, 3, 2),
    "square axes from the end": lambda o, x: o.transpose(x[:, :3], (-1, 0)) * np.arange(9.0).reshape(3, 3),
    "one index for all": lambda o, x: o.take_along_axis(x * x, np.array([[3, 1, 3]]), axis=1) * np.arange(
        9.0).reshape(3, 3),
    "along all": lambda o, x: o.take_along_axis(x * x, np.array([3, 11, 3, 0])) * np.arange(4.0),
    "of integers": lambda o, x: x * o.cast(x * 3, "int32"),
    "no derivative": lambda o, x: x * o.stop_gradient(x) + o.cast(x > 0.5, "float64") * x + o.divide_no_nan(x, x - x),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_derivatives_by_fourth_order_differences(name):
    x = np.random.default_rng(0).uniform(0.2, 1.4, (3, 4))
    if name == "no derivative":
        fixed = x.copy()

        def value(x):
            return (x * fixed + (fixed > 0.5) * x).sum()
    else:
        def value(x):
            return np.asarray(OPERATIONS[name](keras.ops, x)).sum()

    _, gradient = keras.ops.value_and_gradient(lambda y, p: OPERATIONS[name](keras.ops, p), None, x)
    h, expected = 1e-3, np.empty_like(x)
    for place in np.ndindex(x.shape):
        points = []
        for step in (-2, -1, 1, 2):
            moved = x.copy()
            moved[place] += step * h
            points.append(value(moved))
        expected[place] = (points[0] - 8 * points[1] + 8 * points[2] - points[3]) / (12 * h)
    np.testing.assert_allclose(gradient, expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("loss, message", [
    (lambda y, p: np.mean(np.square(p - y)), "must be written in operators and fasttrain.keras.ops"),
    (lambda y, p: np.arctan(p - y), "must be written in operators and fasttrain.keras.ops"),
    (lambda y, p: y * float(p[0, 0]), "must be written in operators and fasttrain.keras.ops"),
    (lambda y, p: keras.ops.mean(y), "'<lambda>' must be computed from y_pred"),
    (lambda y, p: 1.0, "must be computed from y_pred"),
])
def test_a_loss_without_a_gradient_says_so(loss, message):
    model = Sequential([keras.layers.Dense(2, input_dim=6)])
    model.compile("sgd", loss)
    before = model.get_weights()
    with pytest.raises(TypeError, match=message):
        model.fit(X, REAL, verbose=0)
    assert all((a == b).all() for a, b in zip(before, model.get_weights()))


@pytest.mark.parametrize("use", [
    lambda model: model.predict(X), lambda model: model.fit(X, REAL, verbose=0),
    lambda model: model.compile("adam", "mse"),
])
def test_a_loss_may_not_use_the_model_in_the_middle_of_its_step(use):
    def loss(y, p):
        use(model)
        return keras.ops.square(y - p)

    model = Sequential([keras.layers.Dense(2, input_dim=6)])
    model.compile("sgd", loss)
    before = model.get_weights()
    with pytest.raises(ValueError, match="not by the model 'sequential"):
        model.fit(X, REAL, verbose=0)
    assert all((a == b).all() for a, b in zip(before, model.get_weights(), strict=True))
    assert model.predict(X).shape == (120, 2)


def test_a_loss_over_the_rows_has_none_to_weight():
    model = Sequential([keras.layers.Dense(2, input_dim=6)])
    model.compile("sgd", lambda y, p: keras.ops.mean(keras.ops.square(y - p), axis=0))
    with pytest.raises(ValueError, match=r"must give one number a row, or one of all, got shape \(2,\) of 32 rows"):
        model.fit(X, REAL, sample_weight=np.ones(len(X)), verbose=0)


@pytest.mark.parametrize("activation", [None, "sigmoid", "tanh", "softmax"])
def test_a_loss_of_ones_own_is_the_compiled_one(activation):
    models = []
    for loss in ("mse", lambda y, p: keras.ops.mean(keras.ops.square(y - p), axis=-1)):
        keras.utils.set_random_seed(0)
        model = Sequential([keras.Input((6,), dtype="float64"), keras.layers.Dense(8, "relu", kernel_regularizer="l2"),
                            keras.layers.Dropout(0.2), keras.layers.Dense(2, activation)])
        if activation == "softmax" and loss == "mse":
            # the engine has no squared errors of softmax
            def loss(y, p):
                return ((y - p) * (y - p))[:, 0] / 2 + ((y - p) * (y - p))[:, 1] / 2
        model.compile(keras.optimizers.SGD(0.1, momentum=0.9), loss, metrics=["mae"])
        history = model.fit(X, REAL, epochs=3, verbose=0, validation_split=0.2, sample_weight=np.linspace(0, 2, 120))
        models.append((model, history.history))
    for a, b in zip(*(model.get_weights() for model, _ in models)):
        np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-10)
    for name, values in models[0][1].items():
        assert models[1][1][name] == pytest.approx(values, rel=1e-6)


def test_a_power_of_zero_is_flat_at_zero_too():
    p = np.array([[0.0, 2.0, -1.0]])
    value, gradient = keras.ops.value_and_gradient(lambda y, p: p**0 + p**np.array([1, 0, 2]), None, p)
    np.testing.assert_array_equal(value, [[1.0, 2.0, 2.0]])
    np.testing.assert_array_equal(gradient, [[1.0, 0.0, -2.0]])


def test_numpys_elementwise_functions_are_followed():
    def formula(y, p):
        return np.square(y - p) + np.exp(-np.maximum(y, p)) - y @ np.ones((2, 2)) + np.add(1.0, p)

    y, p = np.random.default_rng(0).normal(size=(2, 5, 2))
    value, gradient = keras.ops.value_and_gradient(formula, y, p)
    np.testing.assert_allclose(value, formula(y, p))
    np.testing.assert_allclose(gradient, 2 * (p - y) - np.where(p > y, np.exp(-p), 0) + 1)


def test_layers_of_two_dtypes_are_refused():
    model = Sequential([keras.layers.Dense(8, input_dim=6)])
    with pytest.raises(ValueError, match="all layers must have one dtype, got float32, float64"):
        model.add(keras.layers.Dense(2, dtype="float64"))


def test_a_models_html_is_its_summary():
    model = classifier()
    html = model._repr_html_()
    assert "16" in html
    assert "softmax" in html
    assert "Total params: 163" in html
    odd = Sequential([keras.layers.Dense(1, name="<script>")])
    assert "<script>" not in odd._repr_html_()
    frozen = Sequential([keras.layers.Dense(4, input_dim=6), keras.layers.BatchNormalization(),
                         keras.layers.Activation("relu"), keras.layers.Dense(1)])
    lines = []
    frozen.summary(print_fn=lines.append)
    assert "Trainable params: 41" in lines[0]
    assert "Non-trainable params: 8" in lines[0]
