"""Whole trainings of linear models: ours, scikit-learn, PyTorch when it is installed."""

import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, SGDClassifier

from fasttrain.linear_model import LinearClassifier
from fasttrain.optimizers import Adam

try:
    import torch
except ImportError:
    torch = None

warnings.simplefilter("ignore", ConvergenceWarning)


def problem(n_samples, n_features, dtype, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n_samples, n_features)).astype(dtype)
    y = (X @ rng.standard_normal(n_features) + rng.standard_normal(n_samples) > 0).astype(np.int64)
    return X, y


def torch_fit(X, y, epochs, batch):
    inputs, targets = torch.from_numpy(X), torch.from_numpy(y.astype(X.dtype))

    def fit():
        model = torch.nn.Linear(X.shape[1], 1, dtype=inputs.dtype)
        optimizer = torch.optim.Adam(model.parameters(), fused=True)
        loss = torch.nn.BCEWithLogitsLoss()
        for _ in range(epochs):
            order = torch.randperm(len(inputs))
            for rows in order.split(batch):
                optimizer.zero_grad()
                loss(model(inputs[rows])[:, 0], targets[rows]).backward()
                optimizer.step()

    return fit


@pytest.mark.parametrize("shape", [(20_000, 30), (200_000, 100)], ids=str)
def bench_adam_epoch(compare, shape):
    X, y = problem(*shape, "float32")
    batch = 32
    functions = {
        "fasttrain": lambda: LinearClassifier(
            optimizer=Adam(), batch_size=batch, max_iter=1, tol=None, n_threads=1, random_state=0
        ).fit(X, y),
        "scikit-learn SGDClassifier": lambda: SGDClassifier(
            loss="log_loss", max_iter=1, tol=None, random_state=0
        ).fit(X, y),
    }
    if torch is not None:
        torch.set_num_threads(1)
        functions["PyTorch fused Adam"] = torch_fit(X, y, 1, batch)
    compare("training", f"one epoch, {shape[0]} x {shape[1]} float32, batch {batch}", functions, rounds=5)


# Both sides measure tol alike: the largest element of the gradient, here on columns without units. With 0 both go on to
# where the objective no longer moves in its last digits.
@pytest.mark.parametrize("tol", [1e-4, 0.0], ids=lambda tol: f"tol {tol:g}")
@pytest.mark.parametrize("n_features, target", [(30, 3), (100, 2.5)])
def bench_lbfgs(compare, n_features, target, tol):
    X, y = problem(100_000, n_features, "float64")
    n = len(X)
    mine = LinearClassifier(
        optimizer="lbfgs", penalty="l2", alpha=1.0 / n, tol=tol, max_iter=1000, n_threads=1).fit(X, y)
    theirs = LogisticRegression(C=1.0, tol=tol, max_iter=1000).fit(X, y)
    np.testing.assert_allclose(mine.coef_, theirs.coef_, rtol=0, atol=1e-2 if tol else 1e-4)
    compare(
        "training", f"logistic regression by L-BFGS, 100k x {n_features} float64, tol {tol:g}",
        {"fasttrain": lambda: mine.fit(X, y), "scikit-learn LogisticRegression": lambda: theirs.fit(X, y)},
        ratio_to="scikit-learn LogisticRegression", rounds=5, target=target)


def bench_small_fit(compare):
    X, y = problem(150, 4, "float64")
    compare(
        "training", "fit on 150 x 4, 5 epochs",
        {
            "fasttrain": lambda: LinearClassifier(optimizer="adam", max_iter=5, tol=None, random_state=0).fit(X, y),
            "scikit-learn SGDClassifier": lambda: SGDClassifier(
                loss="log_loss", max_iter=5, tol=None, random_state=0
            ).fit(X, y),
        },
        ratio_to="scikit-learn SGDClassifier", seconds=1.0,
    )
