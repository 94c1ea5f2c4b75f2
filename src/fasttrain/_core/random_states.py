"""Random states of an int, made without the detour over the operating system's entropy."""

import numbers

import numpy as np
from numpy.random.bit_generator import ISeedSequence
from sklearn import utils

_WORDS_OF_STATE = 624


class _NoSeed(ISeedSequence):
    """Words for a Mersenne Twister that is seeded afterwards."""

    def generate_state(self, n_words, dtype=np.uint32):
        return (0,) * n_words


_NO_SEED = _NoSeed()


def check_random_state(seed):
    """scikit-learn's ``check_random_state``: the same draws, but made in a few microseconds where ``seed`` is an int.

    ``RandomState(seed)`` gathers entropy and spreads it over 624 words, and only then puts the seed in its place: for
    small fits that takes longer than the fit.
    """
    if isinstance(seed, bool) or not isinstance(seed, numbers.Integral):
        return utils.check_random_state(seed)
    state = np.random.RandomState(np.random.MT19937(_NO_SEED))
    state.seed(seed)
    return state
