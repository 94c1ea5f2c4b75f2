"""The scikit-learn that the tests run beside: what it does not have yet, or does otherwise, is asked of this number.

Nothing that depends on it is left out on the newest release.
"""

import sklearn

SKLEARN = tuple(int(part) for part in sklearn.__version__.split(".")[:2])


def peer(cls, stock, **settings):
    """scikit-learn's estimator ``stock`` with settings of ``cls``, fasttrain's; in its own words where it is older."""
    return stock(**settings) if SKLEARN >= (1, 8) else cls(**settings).to_sklearn()
