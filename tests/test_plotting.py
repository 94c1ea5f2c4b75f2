"""LossCurveDisplay: what it draws, from every kind of training."""

import subprocess
import sys
from types import SimpleNamespace

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest

from fasttrain.layers import Dense
from fasttrain.linear_model import LinearClassifier, LinearRegressor, SGDClassifier, SGDRegressor
from fasttrain.models import Sequential
from fasttrain.neural_network import MLPClassifier, MLPRegressor
from fasttrain.plotting import LossCurveDisplay

mpl.use("Agg")
RNG = np.random.default_rng(0)
X = RNG.standard_normal((60, 3))
Y = X @ [1.0, 2.0, 3.0]
LABELS = np.digitize(Y, [-2.0, 2.0])

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def curve(line):
    x, y = line.get_data()
    assert np.array_equal(x, np.arange(1, len(y) + 1))
    return list(y)


@pytest.mark.parametrize(("model", "y"), [
    (LinearClassifier(max_iter=4), LABELS), (LinearRegressor(max_iter=4, optimizer="lbfgs"), Y),
    (MLPClassifier(max_iter=4), LABELS), (MLPRegressor(max_iter=4), Y),
    (SGDClassifier(max_iter=4, tol=None), LABELS > 0), (SGDRegressor(max_iter=4, tol=None), Y),
], ids=lambda value: type(value).__name__)
def test_the_loss_of_each_epoch(model, y):
    model.fit(X, y)
    display = LossCurveDisplay.from_estimator(model)
    assert curve(display.line_) == list(model.loss_curve_)
    assert display.lines_ == [display.line_]
    assert display.validation_lines_ == display.score_lines_ == []
    assert display.score_ax_ is None
    assert display.figure_ is display.ax_.figure
    assert display.line_.get_label() == f"{type(model).__name__}, loss"
    assert display.ax_.get_legend() is not None
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("Epoch", "Loss")
    assert display.n_epochs == len(model.loss_curve_)


def test_validation_losses_and_scores():
    model = MLPClassifier(max_iter=4).fit(X[:40], LABELS[:40], validation_data=(X[40:], LABELS[40:]))
    display = LossCurveDisplay.from_estimator(model, name="net", color="k", validation_kwargs={"color": "r"})
    assert curve(display.validation_lines_[0]) == model.validation_loss_curve_
    assert curve(display.score_lines_[0]) == model.validation_scores_
    assert display.score_ax_ is display.score_lines_[0].axes
    assert display.score_ax_ is not display.ax_
    assert (display.line_.get_color(), display.validation_lines_[0].get_color()) == ("k", "r")
    labels = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert labels == ["net, loss", "net, validation loss", "net, validation score"]


def test_a_model_for_each_class_has_a_line():
    model = SGDClassifier(max_iter=4, tol=None, early_stopping=False).fit(X, LABELS)
    display = LossCurveDisplay.from_estimator(model)
    assert [curve(line) for line in display.lines_] == [list(c) for c in model.loss_curve_]
    assert display.lines_[2].get_label() == "SGDClassifier, model 2, loss"
    assert len({line.get_color() for line in display.lines_}) == 3


def test_a_history_of_keras_kind():
    history = SimpleNamespace(history={"loss": [3.0, 2.0], "val_loss": [4.0, 3.5], "accuracy": [0.1, 0.2]})
    for given in (history, SimpleNamespace(history=history)):
        display = LossCurveDisplay.from_estimator(given)
        assert (curve(display.line_), curve(display.validation_lines_[0])) == ([3.0, 2.0], [4.0, 3.5])


def test_the_history_of_a_sequential():
    model = Sequential([Dense(1, input_dim=3)])
    model.compile("sgd", "mse")
    history = model.fit(X, Y, epochs=3, validation_split=0.2, verbose=0)
    for given in (model, history):
        display = LossCurveDisplay.from_estimator(given)
        assert curve(display.line_) == history.history["loss"]
        assert curve(display.validation_lines_[0]) == history.history["val_loss"]


def test_axes_that_are_there_are_drawn_on():
    figure, axes = plt.subplots(1, 2)
    display = LossCurveDisplay([1.0, 0.5]).plot(axes[1])
    assert display.ax_ is axes[1]
    assert display.figure_ is figure
    assert not axes[0].lines
    assert display.line_.get_label() == "loss"
    again = display.plot(axes[0], name="twice", linestyle=":")
    assert again is display
    assert axes[0].lines[0].get_linestyle() == ":"
    assert axes[0].lines[0].get_label() == "twice, loss"


@pytest.mark.parametrize("made", [MLPClassifier(), SimpleNamespace(history={"loss": []}), object()])
def test_what_has_no_curve_is_named(made):
    with pytest.raises(ValueError, match=f"{type(made).__name__} has no loss curve"):
        LossCurveDisplay.from_estimator(made)


@pytest.mark.parametrize("values", [[], [[]], [[[1.0]]]])
def test_a_curve_has_one_axis(values):
    with pytest.raises(ValueError, match="validation_curve must be a number an epoch"):
        LossCurveDisplay([1.0], values).plot()


def test_matplotlib_is_asked_for_when_something_is_drawn():
    """Importing the module and making a display need none; drawing without it says what to install."""
    code = """
import sys
sys.modules["matplotlib"] = None
from fasttrain.plotting import LossCurveDisplay
display = LossCurveDisplay([1.0])
try:
    display.plot()
except ImportError as error:
    assert "fasttrain[plot]" in str(error)
    print("named")
"""
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "named\n"


def test_whole_epochs_a_title_and_a_legend_that_hides_nothing():
    curves = {"loss_curve": [0.9, 0.5, 0.4], "validation_curve": [1.0, 0.6, 0.5], "validation_scores": [0.5, 0.7, 0.8]}
    for left_out in ((), ("validation_scores",)):
        given = {name: values for name, values in curves.items() if name not in left_out}
        display = LossCurveDisplay(**given, estimator_name="net").plot()
        display.figure_.canvas.draw()
        assert display.ax_.get_title() == "net: loss by epoch"
        ticks = display.ax_.get_xticks()
        assert (ticks == ticks.round()).all()
        renderer = display.figure_.canvas.get_renderer()
        legend = display.ax_.get_legend().get_window_extent(renderer)
        inside = display.ax_.get_window_extent(renderer)
        assert legend.x0 >= inside.x1
        assert legend.x1 <= display.figure_.bbox.x1
        if display.score_ax_ is not None:
            assert legend.x0 >= max(
                label.get_window_extent(renderer).x1 for label in display.score_ax_.get_yticklabels())
            assert legend.x0 >= display.score_ax_.yaxis.label.get_window_extent(renderer).x1
