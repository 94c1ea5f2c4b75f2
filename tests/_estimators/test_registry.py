"""An estimator that is defined and entered here is converted, searched as a batch, saved, patched in and inspected."""

import logging

import numpy as np
import pytest
import sklearn.neighbors
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.model_selection import KFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.utils.validation import check_is_fitted, validate_data

import fasttrain
from fasttrain import inspection, interop, model_selection, persistence
from fasttrain._estimators import registry
from fasttrain._estimators.batching import FitRules
from fasttrain._estimators.conversion import Convertible, with_attributes, with_parameters
from fasttrain._estimators.registry import enter, require
from fasttrain._estimators.rows import RowsOf
from fasttrain.model_selection.batch.planner import Batch
from fasttrain.preprocessing import StandardScaler

Stock = sklearn.neighbors.NearestCentroid
RNG = np.random.default_rng(0)
Y = np.arange(60) % 3
X = RNG.normal(size=(60, 3)) + 2 * np.eye(3)[Y]


class NearestCentroid(Convertible, ClassifierMixin, BaseEstimator):
    """The class whose mean is nearest; ``share`` moves the means towards zero."""

    def __init__(self, metric="euclidean", *, shrink_threshold=None, priors="uniform", share=1.0):
        self.metric = metric
        self.shrink_threshold = shrink_threshold
        self.priors = priors
        self.share = share

    def fit(self, X, y):
        self.was_given_rows_ = isinstance(X, RowsOf)
        X, y = (X.copied(), y) if self.was_given_rows_ else validate_data(self, X, y)
        if self.metric != "euclidean":
            raise ValueError(f"metric must be 'euclidean', got {self.metric!r}")
        self.n_features_in_ = X.shape[1]
        self.classes_ = np.unique(y)
        self.centroids_ = np.stack([self.share * X[y == label].mean(axis=0) for label in self.classes_])
        return self

    def predict(self, X):
        check_is_fitted(self)
        return self.classes_[((X[:, None] - self.centroids_) ** 2).sum(axis=2).argmin(axis=1)]


def _to_stock(model):
    # its fit divides by the spread within the classes
    rows = np.concatenate([model.centroids_ - 1, model.centroids_ + 1])
    new = with_parameters(Stock, model).fit(rows, np.tile(model.classes_, 2))
    return with_attributes(new, model, ["centroids_"])


def _from_stock(model, cls):
    return with_attributes(with_parameters(cls, model), model, ["centroids_", "classes_", "n_features_in_"])


def _check(model):
    require(np.isfinite(model.centroids_).all(), model, "centroids_", "be finite")


def _network(model):
    return inspection.DenseNetwork([2 * model.centroids_.T], [-(model.centroids_**2).sum(axis=1)], [])


@pytest.fixture(autouse=True)
def entered(monkeypatch):
    """The estimator in the registry, and out of it after the test; the patch forgets it as well."""
    monkeypatch.setattr(registry, "_entries", dict(registry._entries))
    monkeypatch.setattr(fasttrain.patch, "_made", dict(fasttrain.patch._made))
    enter(
        NearestCentroid, stock=Stock, to_stock=_to_stock, from_stock={Stock: _from_stock}, replaces={},
        batch=FitRules(takes_rows=True), check=_check, network=_network,
    )


def test_it_is_converted_both_ways():
    model = NearestCentroid().fit(X, Y)
    stock = model.to_sklearn()
    assert type(stock) is Stock
    np.testing.assert_array_equal(stock.predict(X), model.predict(X))
    back = NearestCentroid.from_sklearn(stock)
    assert type(back) is NearestCentroid
    np.testing.assert_array_equal(back.predict(X), model.predict(X))
    pipeline = interop.to_sklearn(make_pipeline(StandardScaler(), NearestCentroid()).fit(X, Y))
    assert [type(step).__module__.partition(".")[0] for _, step in pipeline.steps] == ["sklearn", "sklearn"]
    assert type(interop.from_sklearn(Stock().fit(X, Y))) is NearestCentroid


@pytest.mark.parametrize("steps", [[], [StandardScaler()]], ids=["alone", "behind a scaler"])
def test_a_search_runs_its_fits_as_a_batch(steps, monkeypatch):
    runs, run = [], Batch.run

    def counted(self, candidates):
        runs.append(len(candidates))
        return run(self, candidates)

    monkeypatch.setattr(Batch, "run", counted)
    estimator = make_pipeline(*steps, NearestCentroid())
    shares = [0.1, 1.0, 20.0]
    search = model_selection.GridSearchCV(estimator, {"nearestcentroid__share": shares}, cv=KFold(4)).fit(X, Y)
    assert runs == [3]
    wanted = [
        cross_val_score(clone(estimator).set_params(nearestcentroid__share=share), X, Y, cv=KFold(4)).mean()
        for share in shares
    ]
    np.testing.assert_allclose(search.cv_results_["mean_test_score"], wanted, rtol=1e-12)


def test_a_batch_gives_it_numbers_of_rows():
    found = model_selection.cross_validate(NearestCentroid(), X, Y, cv=KFold(3), return_estimator=True)
    assert [model.was_given_rows_ for model in found["estimator"]] == [True] * 3
    assert not NearestCentroid().fit(X, Y).was_given_rows_


def test_it_is_saved_and_loaded(tmp_path):
    model = NearestCentroid(share=0.5).fit(X, Y)
    persistence.save(model, tmp_path / "model")
    loaded = persistence.load(tmp_path / "model")
    assert type(loaded) is NearestCentroid
    assert loaded.get_params() == model.get_params()
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))
    model.centroids_[0] = np.nan
    persistence.save(model, tmp_path / "broken")
    with pytest.raises(ValueError, match="centroids_ of NearestCentroid must be finite"):
        persistence.load(tmp_path / "broken")


def test_it_is_patched_in(caplog):
    with fasttrain.patched(["NearestCentroid"]):
        model = sklearn.neighbors.NearestCentroid().fit(X, Y)
        assert isinstance(model, NearestCentroid)
        assert hasattr(model, "was_given_rows_")
        with caplog.at_level(logging.INFO, "fasttrain"):
            other = sklearn.neighbors.NearestCentroid(metric="manhattan").fit(X, Y)
        assert "NearestCentroid.fit is served by scikit-learn: metric must be 'euclidean'" in caplog.text
        np.testing.assert_array_equal(other.predict(X), Stock(metric="manhattan").fit(X, Y).predict(X))
    assert sklearn.neighbors.NearestCentroid is Stock


def test_it_is_inspected():
    model = NearestCentroid().fit(X, Y)
    assert isinstance(inspection.dense_network(model), inspection.DenseNetwork)
    gradients = inspection.input_gradients(model, X)
    np.testing.assert_allclose(gradients, np.broadcast_to(2 * model.centroids_, (60, 3, 3)))


def test_what_is_not_entered_is_refused(tmp_path):
    del registry._entries[NearestCentroid]
    model = NearestCentroid().fit(X, Y)
    with pytest.raises(TypeError, match=r"cannot be saved: .*NearestCentroid is not plain data"):
        persistence.save(model, tmp_path / "model")
    with pytest.raises(TypeError, match="model must be a linear model"):
        inspection.dense_network(model)
    with pytest.raises(TypeError, match="NearestCentroid"):
        NearestCentroid.to_sklearn(model)
