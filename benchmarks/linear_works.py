"""What ``bench_linear.py`` measures: data, objectives, and how each library is asked for the same model.

A contender is a function ``contender(X, y, dtype) -> fit``; ``fit()`` does the work and returns (coef, intercept), or a
number where the work ends in a score. It imports its library inside, so that one that is missing is only left out.
"""

from dataclasses import dataclass, field
from functools import partial

import numpy as np

ALPHA_LASSO = 0.05
CS = tuple(np.logspace(-4, 4, 10).tolist())


# ---- data ----


def dense(n, p, kind, dtype=np.float64, seed=0):
    """(X, y): columns of unit variance, half of them without a meaning."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p))
    w = np.where(np.arange(p) % 2, 0.0, rng.standard_normal(p)) / np.sqrt(p / 2)
    raw = X @ w
    if kind == "binary":
        y = (raw + rng.logistic(size=n) / 2 > 0).astype(np.int64)
    elif kind == "counts":
        y = rng.poisson(np.exp(0.5 * raw)).astype(np.float64)
    elif kind == "outliers":
        y = raw + rng.standard_t(2, size=n) / 3
    elif kind == "number":
        y = raw + rng.standard_normal(n)
    else:
        W = rng.standard_normal((int(kind), p)) / np.sqrt(p)
        y = (X @ W.T + rng.gumbel(size=(n, int(kind))) / 2).argmax(axis=1)
    return np.ascontiguousarray(X, dtype=dtype), y


def wide(n, p):
    """Few rows, many columns, a hundred of which matter."""
    rng = np.random.default_rng(1)
    X = rng.standard_normal((n, p))
    w = np.zeros(p)
    w[rng.choice(p, 100, replace=False)] = rng.standard_normal(100)
    return X, X @ w + rng.standard_normal(n)


def words(n, p, per_row=80):
    """CSR as TfidfVectorizer makes it: word frequencies by Zipf's law, rows of norm 1."""
    from scipy import sparse
    from sklearn.preprocessing import normalize

    rng = np.random.default_rng(2)
    chance = 1.0 / np.arange(10, p + 10)
    which = rng.choice(p, size=(n, per_row), p=chance / chance.sum())
    X = sparse.csr_matrix((np.ones(which.size), which.ravel(), np.arange(0, which.size + 1, per_row)), shape=(n, p))
    X.sum_duplicates()
    X.data *= np.log(n / (1 + np.bincount(X.indices, minlength=p)))[X.indices].clip(0.1)
    X = normalize(X)
    w = rng.standard_normal(p)
    return X, (X @ w + rng.logistic(size=n) / 4 > 0).astype(np.int64)


# ---- objectives, per row ----


def _binary(X, y, coef, intercept):
    raw = np.asarray(X @ np.ravel(coef) + np.ravel(intercept)[0], dtype=np.float64)
    return np.logaddexp(0, np.where(y == 1, -raw, raw))


def logistic(X, y, coef, intercept, C=1.0, l1=False):
    w = np.ravel(coef).astype(np.float64)
    return _binary(X, y, w, intercept).mean() + (abs(w).sum() if l1 else w @ w / 2) / (C * X.shape[0])


def softmax(X, y, coef, intercept, C=1.0):
    raw = X @ coef.T + intercept
    raw -= raw.max(axis=1, keepdims=True)
    losses = np.log(np.exp(raw).sum(axis=1)) - raw[np.arange(len(y)), y]
    return losses.mean() + (coef**2).sum() / (2 * C * len(X))


def squares(X, y, coef, intercept, l1=0.0, l2=0.0):
    w = np.ravel(coef)
    return ((X @ w + intercept - y) ** 2).mean() / 2 + l1 * abs(w).sum() + l2 * (w @ w) / 2


def poisson(X, y, coef, intercept, l2=1.0):
    raw = X @ coef + intercept
    return (np.exp(raw) - y * raw).mean() + l2 * coef @ coef / 2


def squared_hinge(X, y, coef, intercept):
    w, b = np.ravel(coef), np.ravel(intercept)[0]
    margin = np.maximum(0, 1 - np.where(y == 1, 1, -1) * (X @ w + b))
    return (margin**2).mean() + (w @ w + b * b) / (2 * len(X))


def squared_hinge_l1(X, y, coef, intercept):
    w, b = np.ravel(coef), np.ravel(intercept)[0]
    margin = np.maximum(0, 1 - np.where(y == 1, 1, -1) * (X @ w + b))
    return (margin**2).mean() + (abs(w).sum() + abs(b)) / X.shape[0]


def pinball(X, y, coef, intercept, alpha, quantile=0.5):
    r = y - X @ coef - intercept
    return np.maximum(quantile * r, (quantile - 1) * r).mean() + alpha * abs(coef).sum()


def squared_tube(X, y, coef, intercept):
    w, b = np.ravel(coef), np.ravel(intercept)[0]
    return (np.maximum(0, abs(X @ w + b - y)) ** 2).mean() + (w @ w + b * b) / (2 * len(X))


# ---- contenders ----


def of_class(module, name, then=None, **parameters):
    """A contender from a class with fit: where it is, and its parameters."""

    def contender(X, y):
        from importlib import import_module

        cls = getattr(import_module(module), name)

        def fit():
            model = cls(**parameters).fit(X, y)
            if then is not None:
                return then(model, X, y)
            return model.coef_, getattr(model, "intercept_", 0.0)

        return fit

    return contender


def grid(module, inside, name, parameters, values, **options):
    """A contender of a search with five folds, that ends in its best score."""

    def contender(X, y):
        from importlib import import_module

        search, cls = import_module(module).GridSearchCV, getattr(import_module(inside), name)
        return lambda: float(search(cls(**parameters), values, cv=5, **options).fit(X, y).best_score_)

    return contender


def _huber(model, X, y):
    """Minus HuberRegressor's objective, over n."""
    z = abs(X @ model.coef_ + model.intercept_ - y) / model.scale_
    size = np.where(z < 1.35, z**2, 2 * 1.35 * z - 1.35**2)
    return -float(model.scale_ * (1 + size.mean()) + 1e-4 * model.coef_ @ model.coef_ / len(y))


def _path_score(model, X, y):
    return -float(model.mse_path_.mean(axis=-1).min())


def _best_score(model, X, y):
    return float(model.best_score_)


def _best_cv_score(model, X, y):
    scores = next(iter(model.scores_.values())) if isinstance(model.scores_, dict) else model.scores_
    return float(np.asarray(scores).mean(axis=0).max())


def _glum(X, y, family="normal", alpha=0.0, l1_ratio=0.0):
    from glum import GeneralizedLinearRegressor

    def fit():
        model = GeneralizedLinearRegressor(family=family, alpha=alpha, l1_ratio=l1_ratio).fit(X, y.astype(X.dtype))
        return model.coef_, model.intercept_

    return fit


def _snap(X, y, **parameters):
    import snapml

    def fit():
        model = snapml.LogisticRegression(fit_intercept=True, n_jobs=2, **parameters).fit(X, y)
        return model.coef_, model.intercept_

    return fit


def glum(**parameters):
    return partial(_glum, **parameters)


def snap(**parameters):
    return partial(_snap, **parameters)


OURS, STOCK, INTEL = "fasttrain.linear_model", "sklearn.linear_model", "sklearnex.linear_model"


def everywhere(name, intel=True, others=None, module=STOCK, **parameters):
    """The class of this name here, in scikit-learn and in scikit-learn-intelex, and other contenders."""
    made = {"fasttrain": of_class(OURS, name, **parameters), "scikit-learn": of_class(module, name, **parameters)}
    if intel:
        made["sklearnex"] = of_class(module.replace("sklearn", "sklearnex", 1), name, **parameters)
    return {**made, **(others or {})}


@dataclass(frozen=True, kw_only=True)
class Work:
    """One line of the table.

    Attributes
    ----------
    data : callable
        Gives (X, y).
    contenders : dict
        From names to contenders; 'fasttrain' first.
    objective : callable or None
        Of (X, y, coef, intercept); None where a fit gives a score, of which more is better.
    seconds : float or None
        What ours may take on two threads of Zen 5.
    times : float or None
        How many times sooner than scikit-learn ours is to be.
    """

    data: object
    contenders: dict = field(default_factory=dict)
    objective: object = None
    seconds: float | None = None
    times: float | None = None


N, P = 200_000, 100
_small = {"data": partial(dense, 150, 4, "number"), "times": 2.0}
_small_classes = {"data": partial(dense, 150, 4, "binary"), "times": 2.0}

WORKS = {
    "LogisticRegression 200k x 100": Work(
        data=partial(dense, N, P, "binary"), objective=logistic, seconds=0.070, contenders=everywhere(
            "LogisticRegression", others={
                "fasttrain LinearClassifier": of_class(OURS, "LinearClassifier", penalty="l2", alpha=1 / N),
                "glum": glum(family="binomial", alpha=1 / N), "snapml": snap(regularizer=1.0),
            })),
    "LogisticRegression 200k x 100 float32": Work(
        data=partial(dense, N, P, "binary", np.float32), objective=logistic, seconds=0.040,
        contenders=everywhere("LogisticRegression")),
    "LogisticRegression newton-cholesky 200k x 100": Work(
        data=partial(dense, N, P, "binary"), objective=logistic, contenders=everywhere(
            "LogisticRegression", solver="newton-cholesky")),
    "LogisticRegression 10 classes, 50k x 50": Work(
        data=partial(dense, 50_000, 50, "10"), objective=softmax, seconds=0.090,
        contenders=everywhere("LogisticRegression")),
    "10 C x 5 folds, 50k x 100": Work(
        data=partial(dense, 50_000, 100, "binary"), seconds=0.150, contenders={
            "fasttrain": grid("fasttrain.model_selection", OURS, "LogisticRegression", {}, {"C": CS}, n_jobs=2),
            "fasttrain LogisticRegressionCV": of_class(
                OURS, "LogisticRegressionCV", _best_cv_score, Cs=CS, cv=5, scoring="accuracy"),
            "scikit-learn": grid("sklearn.model_selection", STOCK, "LogisticRegression", {}, {"C": CS}, n_jobs=2),
            "scikit-learn LogisticRegressionCV": of_class(
                STOCK, "LogisticRegressionCV", _best_cv_score, Cs=CS, cv=5, n_jobs=2, scoring="accuracy"),
        }),
    "LogisticRegression l2, words 20k x 100k": Work(
        data=partial(words, 20_000, 100_000), objective=logistic, times=3.0, contenders={
            **everywhere("LogisticRegression", intel=False),
            "scikit-learn liblinear": of_class(STOCK, "LogisticRegression", solver="liblinear"),
            "snapml": snap(regularizer=1.0),
        }),
    "LogisticRegression l1, words 20k x 100k": Work(
        data=partial(words, 20_000, 100_000), objective=partial(logistic, C=10.0, l1=True), times=5.0, contenders={
            "fasttrain": of_class(OURS, "LogisticRegression", l1_ratio=1.0, C=10.0, solver="saga"),
            "fasttrain liblinear": of_class(OURS, "LogisticRegression", l1_ratio=1.0, C=10.0, solver="liblinear"),
            "scikit-learn": of_class(STOCK, "LogisticRegression", l1_ratio=1.0, C=10.0, solver="liblinear"),
            "celer": of_class("celer", "LogisticRegression", C=10.0),
        }),
    "LinearSVC l1, words 20k x 100k": Work(
        data=partial(words, 20_000, 100_000), objective=squared_hinge_l1, times=3.0, contenders=everywhere(
            "LinearSVC", intel=False, module="sklearn.svm", penalty="l1", dual=False)),
    "10 C x 5 folds, l1, words 3k x 10k": Work(
        data=partial(words, 3000, 10_000), times=3.0, contenders={
            label: grid(f"{package}.model_selection", f"{package}.linear_model", "LogisticRegression", {
                "l1_ratio": 1.0, "solver": solver}, {"C": np.logspace(-2, 1, 10)}, n_jobs=2)
            for label, package, solver in (
                ("fasttrain", "fasttrain", "saga"), ("scikit-learn", "sklearn", "liblinear"))
        }),
    "GridSearchCV Lasso, 20 alphas x 5 folds, 20k x 50": Work(
        data=partial(dense, 20_000, 50, "number"), times=3.0, contenders={
            label: grid(f"{package}.model_selection", f"{package}.linear_model", "Lasso", {}, {
                "alpha": np.geomspace(0.3, 0.0003, 20)}, n_jobs=2)
            for label, package in (("fasttrain", "fasttrain"), ("scikit-learn", "sklearn"))
        }),
    "QuantileRegressor 5k x 20": Work(
        data=partial(dense, 5000, 20, "outliers"), objective=partial(pinball, alpha=0.01), times=3.0,
        contenders=everywhere("QuantileRegressor", intel=False, alpha=0.01)),
    "LassoCV 1000 x 5000, 100 alphas x 5 folds": Work(
        data=partial(wide, 1000, 5000), objective=None, seconds=0.370, contenders={
            "fasttrain": of_class(OURS, "LassoCV", _path_score, cv=5),
            "scikit-learn": of_class(STOCK, "LassoCV", _path_score, cv=5, n_jobs=2),
            "celer": of_class("celer", "LassoCV", _path_score, cv=5, n_jobs=2),
        }),
    "Lasso 200k x 100": Work(
        data=partial(dense, N, P, "number"), objective=partial(squares, l1=ALPHA_LASSO), seconds=0.040,
        contenders=everywhere("Lasso", alpha=ALPHA_LASSO, others={
            "celer": of_class("celer", "Lasso", alpha=ALPHA_LASSO), "glum": glum(alpha=ALPHA_LASSO, l1_ratio=1.0),
            "skglm": of_class("skglm", "Lasso", alpha=ALPHA_LASSO),
        })),
    "ElasticNet 200k x 100": Work(
        data=partial(dense, N, P, "number"), objective=partial(squares, l1=0.05, l2=0.05),
        contenders=everywhere("ElasticNet", alpha=0.1)),
    "Ridge 200k x 100": Work(
        data=partial(dense, N, P, "number"), objective=partial(squares, l2=1 / N), seconds=0.030,
        contenders=everywhere("Ridge", others={"glum": glum(alpha=1 / N)})),
    "LinearRegression 200k x 100": Work(
        data=partial(dense, N, P, "number"), objective=squares, seconds=0.060,
        contenders=everywhere("LinearRegression")),
    "RidgeCV, 10 alphas x 5 folds, 50k x 100": Work(
        data=partial(dense, 50_000, 100, "number"), contenders={
            label: of_class(module, "RidgeCV", _best_score, alphas=CS, cv=5)
            for label, module in (("fasttrain", OURS), ("scikit-learn", STOCK))
        }),
    "RidgeCV, 10 alphas, leave-one-out, 50k x 100": Work(
        data=partial(dense, 50_000, 100, "number"), contenders={
            label: of_class(module, "RidgeCV", _best_score, alphas=CS)
            for label, module in (("fasttrain", OURS), ("scikit-learn", STOCK))
        }),
    "GridSearchCV Ridge, 10 alphas x 5 folds, 50k x 100": Work(
        data=partial(dense, 50_000, 100, "number"), contenders={
            label: grid(f"{package}.model_selection", f"{package}.linear_model", "Ridge", {}, {"alpha": CS}, n_jobs=2)
            for label, package in (("fasttrain", "fasttrain"), ("scikit-learn", "sklearn"))
        }),
    "PoissonRegressor 200k x 100": Work(
        data=partial(dense, N, P, "counts"), objective=poisson, seconds=0.040, contenders=everywhere(
            "PoissonRegressor", intel=False, others={"glum": glum(family="poisson", alpha=1.0)})),
    "HuberRegressor 200k x 100": Work(
        data=partial(dense, N, P, "outliers"), seconds=0.150, contenders={
            label: of_class(module, "HuberRegressor", _huber)
            for label, module in (("fasttrain", OURS), ("scikit-learn", STOCK))
        }),
    "LinearSVC 200k x 100": Work(
        data=partial(dense, N, P, "binary"), objective=squared_hinge, times=5.0, contenders=everywhere(
            "LinearSVC", intel=False, module="sklearn.svm", dual="auto")),
    "LinearSVR 200k x 100": Work(
        data=partial(dense, N, P, "number"), objective=squared_tube, times=5.0, contenders=everywhere(
            "LinearSVR", intel=False, module="sklearn.svm", dual="auto", loss="squared_epsilon_insensitive")),
    **{f"{name} 150 x 4": Work(objective=None, **_small, contenders=everywhere(name, intel=False))
       for name in ("LinearRegression", "Ridge", "Lasso", "ElasticNet", "HuberRegressor")},
    "PoissonRegressor 150 x 4": Work(
        data=partial(dense, 150, 4, "counts"), times=2.0, contenders=everywhere("PoissonRegressor", intel=False)),
    "LogisticRegression 150 x 4": Work(**_small_classes, contenders=everywhere("LogisticRegression", intel=False)),
    "RidgeClassifier 150 x 4": Work(**_small_classes, contenders=everywhere("RidgeClassifier", intel=False)),
    "LinearSVC 150 x 4": Work(
        **_small_classes, contenders=everywhere("LinearSVC", intel=False, module="sklearn.svm")),
}
