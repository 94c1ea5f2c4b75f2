"""Objects of one's own under names, constraints, and the losses and metrics of class codes and correlations."""

import numpy as np
import pytest
from sequential_cases import CODES, REAL, X, classifier

from fasttrain import keras
from fasttrain.keras import _files, layers


def gap(y_true, y_pred):
    return keras.ops.mean(keras.ops.abs(y_true - y_pred), axis=-1)


@pytest.fixture
def clean():
    held = dict(keras.utils.get_custom_objects())
    yield
    keras.utils.get_custom_objects().clear()
    keras.utils.get_custom_objects().update(held)


def test_names_in_a_scope(clean):
    def ones(shape, dtype=None):
        return np.ones(shape, dtype)

    with keras.utils.custom_object_scope({"gap": gap, "mine": ones}):
        model = keras.Sequential([keras.Input((6,)), layers.Dense(2, kernel_initializer="mine")])
        model.compile("sgd", "gap", metrics=["gap", "mae"])
        assert (model.get_weights()[0] == 1).all()
        history = model.fit(X, REAL, verbose=0).history
        assert history["gap"] == history["mae"]
        with keras.saving.CustomObjectScope({"other": gap}), pytest.raises(ValueError, match="loss must be"):
            keras.losses.get("gap")
        assert keras.losses.get("gap").fn is gap
    with pytest.raises(ValueError, match="loss must be"):
        keras.losses.get("gap")


def test_registered_names(clean):
    @keras.saving.register_keras_serializable("pack")
    def far(y_true, y_pred):
        return gap(y_true, y_pred) + 1

    @keras.utils.register_keras_serializable(name="Weighted")
    class Own(keras.losses.Loss):
        def call(self, y_true, y_pred):
            return 2 * gap(y_true, y_pred)

    assert keras.utils.get_registered_name(far) == "pack>far"
    assert keras.utils.get_registered_name(gap) == "gap"
    assert keras.saving.get_registered_object("Custom>Weighted") is Own
    assert keras.utils.get_registered_object("none") is None
    assert keras.utils.get_registered_object("a", {"a": 1}, {"a": 2}) == 1
    assert keras.utils.get_registered_object("b", {"a": 1}, {"b": 2}) == 2
    assert keras.losses.get("pack>far")(np.ones((1, 1)), np.zeros((1, 1))) == 2.0
    assert isinstance(keras.losses.get(keras.utils.get_registered_object("Custom>Weighted")), Own)
    keras.utils.get_custom_objects()["far"] = far
    assert keras.metrics.get("far").fn is far
    with pytest.raises(ValueError, match="must have a method get_config, got Plain"):
        @keras.utils.register_keras_serializable()
        class Plain:
            pass


@pytest.mark.parametrize("suffix", ["", ".keras"])
def test_a_file_that_names_an_object_of_ones_own_runs_none(clean, tmp_path, monkeypatch, suffix):
    calls = []

    @keras.saving.register_keras_serializable("pack")
    def own(*args, **kwargs):
        calls.append(args)
        return np.ones(args[0]) if "dtype" in kwargs else gap(*args)

    path = str(tmp_path / f"model{suffix}")
    model = classifier()
    model.fit(X, CODES, verbose=0)
    compiled = _files._compiled
    for change in (lambda said: said.update(loss=None, metrics=["pack>own"]),
                   lambda said: said.update(loss=None, weighted_metrics=["pack>own"])):
        with monkeypatch.context() as patched:
            def changed(model, change=change):
                said = compiled(model)
                change(said)
                return said
            patched.setattr(_files, "_compiled", changed)
            model.save(path)
        with pytest.raises(ValueError, match=r"metric must be .* got 'pack>own'"):
            keras.models.load_model(path)
    with monkeypatch.context() as patched:
        patched.setattr(layers, "_initializer_config", lambda initializer: "pack>own")
        model.save(path)
        described = model.to_json()
    for read in (lambda: keras.models.load_model(path), lambda: keras.models.model_from_json(described)):
        with pytest.raises(ValueError, match=r"initializer must be .* got 'pack>own'"):
            read()
    assert "pack>own" in described
    assert calls == []


class OwnInitializer(keras.initializers.Initializer):
    def __call__(self, shape, dtype="float32"):
        return np.full(shape, 0.25, dtype)


class OwnSchedule(keras.optimizers.schedules.LearningRateSchedule):
    def __call__(self, step):
        return 0.1

    def get_config(self):
        return {}


class OwnOptimizer(keras.optimizers.Adam):
    pass


@pytest.mark.parametrize("suffix", ["", ".keras"])
def test_a_model_that_is_saved_is_read_again(clean, tmp_path, suffix):
    """What is the caller's own is left out where the weights say the same, and refused where they do not."""
    path = tmp_path / f"model{suffix}"
    model = keras.Sequential([keras.Input((6,)), layers.Dense(2, kernel_initializer=OwnInitializer()), layers.Dense(1)])
    model.save(path)
    np.testing.assert_array_equal(keras.models.load_model(path).predict(X), model.predict(X))
    keras.utils.get_custom_objects().update(far=gap, mae=gap)
    for settings, message in (
        ({"optimizer": OwnOptimizer()}, "with the optimizer OwnOptimizer"),
        ({"optimizer": keras.optimizers.SGD(OwnSchedule())}, "whose learning rate is a function or a schedule"),
        ({"metrics": ["far"]}, "with the metric 'far'"),
        ({"metrics": ["mae"]}, "with the metric 'mae'"),
    ):
        model.compile(**{"optimizer": "sgd", "loss": "mse", **settings})
        with pytest.raises(TypeError, match=message):
            model.save(tmp_path / f"other{suffix}")
    assert not (tmp_path / f"other{suffix}").exists()


def test_regularizers_of_ones_own_are_refused():
    with pytest.raises(TypeError, match="Own is a regularizer of one's own"):
        class Own(keras.regularizers.Regularizer):
            def __call__(self, w):
                return 0.0


@pytest.mark.parametrize("constraint", ["max_norm", "min_max_norm", "unit_norm", "non_neg"])
def test_constraints_hold_and_are_saved(tmp_path, constraint):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([
        keras.Input((6,)), layers.Dense(20, "tanh", kernel_constraint=constraint),
        layers.Dense(3, "softmax", kernel_constraint=constraint)])
    model.compile(keras.optimizers.SGD(0.5, momentum=0.9), "sparse_categorical_crossentropy")
    model.fit(X, CODES, epochs=3, batch_size=16, verbose=0)
    for weights in model.get_weights()[::2]:
        norms = np.linalg.norm(weights, axis=0)
        if constraint == "non_neg":
            assert (weights >= 0).all()
            assert (weights == 0).any()
        elif constraint == "unit_norm":
            np.testing.assert_allclose(norms, 1, rtol=1e-6)
        else:
            assert (norms <= (2 if constraint == "max_norm" else 1) * (1 + 1e-6)).all()
    model.save(tmp_path / "model")
    again = keras.models.load_model(tmp_path / "model")
    assert repr(again.layers[0].kernel_constraint) == repr(model.layers[0].kernel_constraint)
    for one in (model, again):
        one.fit(X, CODES, epochs=2, shuffle=False, verbose=0)
    np.testing.assert_array_equal(again.predict(X), model.predict(X))


def test_constraints_of_ones_own_are_refused():
    with pytest.raises(TypeError, match="Own is a constraint of one's own"):
        class Own(keras.constraints.Constraint):
            def __call__(self, w):
                return w
    for make in (lambda: keras.constraints.MinMaxNorm(2.0, 1.0), lambda: keras.constraints.MinMaxNorm(rate=2.0),
                 lambda: keras.constraints.UnitNorm(axis=1)):
        with pytest.raises(ValueError, match=r"min_value|rate|axis"):
            make()


def test_generalized_cross_entropy_of_class_codes():
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(3), 40)
    codes = rng.integers(0, 3, 40)
    loss = keras.losses.CategoricalGeneralizedCrossEntropy(0.7)
    right = p[np.arange(40), codes]
    np.testing.assert_allclose(loss(codes, p), ((1 - right**0.7) / 0.7).mean())
    value, gradient = keras.ops.value_and_gradient(loss.call, codes, p)
    np.testing.assert_allclose(value, (1 - right**0.7) / 0.7)
    expected = np.zeros_like(p)
    expected[np.arange(40), codes] = -(right**-0.3)
    np.testing.assert_allclose(gradient, expected)
    model = classifier(loss=keras.losses.CategoricalGeneralizedCrossEntropy())
    losses = model.fit(X, CODES, epochs=15, verbose=0).history["loss"]
    assert losses[-1] < 0.9 * losses[0]
    with pytest.raises(ValueError, match="class codes from 0 to 2"):
        model.fit(X, CODES + 1, verbose=0)
    with pytest.raises(ValueError, match="q must be"):
        keras.losses.CategoricalGeneralizedCrossEntropy(1.0)


def test_correlations_of_rows():
    rng = np.random.default_rng(0)
    y, p = rng.normal(size=(2, 50, 8))
    y[3] = 1.0
    found = keras.metrics.pearson_correlation(y, p)
    assert np.isnan(found[3])
    others = np.arange(50) != 3
    expected = np.array([np.corrcoef(a, b)[0, 1] for a, b in zip(y[others], p[others])])
    np.testing.assert_allclose(found[others], expected)
    spread = (y.mean(axis=1) - p.mean(axis=1)) ** 2 + y.var(axis=1) + p.var(axis=1)
    wanted = 2 * expected * (y.std(axis=1) * p.std(axis=1) / spread)[others]
    np.testing.assert_allclose(keras.metrics.concordance_correlation(y, p)[others], wanted, rtol=1e-5)
    metric = keras.metrics.get("concordance_correlation")
    metric.update_state(p, p)
    assert metric.result() == pytest.approx(1, abs=1e-5)
    with pytest.raises(ValueError, match="axis must be -1"):
        keras.metrics.pearson_correlation(y, p, axis=0)


def test_identity_initializer():
    np.testing.assert_array_equal(keras.initializers.get("identity")((3, 4), "float64"), np.eye(3, 4))
    np.testing.assert_array_equal(keras.initializers.Identity(2.0)((2, 2)), 2 * np.eye(2))
    with pytest.raises(ValueError, match="2 axes"):
        keras.initializers.Identity()((3,))
