"""What generalized linear models need of a deviance besides the loss itself: link, least value, second derivative.

The losses are half a deviance, the negative log-likelihood of a distribution with mean m, up to terms of y alone
(McCullagh and Nelder, Generalized Linear Models, 1989). The raw prediction is ``link(m)``.
"""

import numpy as np
from scipy.special import xlogy

from fasttrain import losses
from fasttrain._core.slices import slices


def loss_of(power, link):
    """The loss of half the Tweedie deviance of this power, with link 'log' or 'identity'."""
    if link == "log":
        special = {1: losses.Poisson, 2: losses.Gamma}.get(power)
        return losses.Tweedie(power) if special is None else special()
    return losses.HalfSquaredError() if power == 0 else losses.TweedieIdentity(power)


def power_of(loss):
    """The Tweedie power of a loss of :func:`loss_of`."""
    return {"half_squared_error": 0.0, "poisson": 1.0, "gamma": 2.0}.get(loss.name, loss.parameter)


def has_log_link(loss):
    return loss.inverse_link == "exponential"


def linked(loss, mean):
    """The raw prediction of a mean."""
    if not has_log_link(loss):
        return mean
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(mean)


def inverse_linked(loss, raw):
    """The mean of raw predictions, by slices between which Ctrl-C is heard; ``raw`` may be overwritten."""
    if has_log_link(loss):
        with np.errstate(over="ignore"):
            for rows in slices(len(raw)):
                np.exp(raw[rows], out=raw[rows])
    return raw


def least_values(loss, y):
    """What is to be added to the loss of each row for 0 to be its least value."""
    if not has_log_link(loss):
        return np.zeros_like(y)
    power = power_of(loss)
    if power == 1:
        return xlogy(y, y) - y
    if power == 2:
        return -np.log(y) - 1
    if power == 0:
        return np.zeros_like(y)
    return np.maximum(y, 0) ** (2 - power) / ((1 - power) * (2 - power))


def second_derivatives(loss, y, raw):
    """Of the loss of each row by its raw prediction: array of y's shape, float64.

    With log link and power p it is ``(2 - p) m^(2 - p) - (1 - p) y m^(1 - p)``, with identity link
    ``m^-p (1 - p + p y / m)``.
    """
    p = power_of(loss)
    out = np.empty(len(y))
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        for rows in slices(len(y)):
            t, z = y[rows], raw[rows]
            if loss.name == "half_squared_error":
                out[rows] = 1.0
            elif loss.name == "poisson":
                out[rows] = np.exp(z)
            elif loss.name == "gamma":
                out[rows] = t * np.exp(-z)
            elif has_log_link(loss):
                out[rows] = (2 - p) * np.exp((2 - p) * z) - (1 - p) * t * np.exp((1 - p) * z)
            else:
                out[rows] = z**-p * ((1 - p) + p * t / z)
    return out
