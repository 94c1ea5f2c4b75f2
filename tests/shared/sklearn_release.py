"""The scikit-learn that the tests run beside: what it does not have yet, or does otherwise, is asked of this number.

Nothing that depends on it is left out on the newest release.
"""

import sklearn

SKLEARN = tuple(int(part) for part in sklearn.__version__.split(".")[:2])
