"""What estimators share.

``parameters`` keeps what a constructor was given, ``data`` checks X, y, weights and validation data, ``rows`` names
rows of a matrix that is not copied; ``fitted`` puts a fit's outcome on the estimator, all of it or nothing.
``registry`` is where each estimator enters what it is to the rest of the library: ``batching`` has the words for how
many of its fits run together, ``conversion`` the way to scikit-learn and back, ``networks`` its weights as plain
arrays. Linear models, networks, preprocessing and Sequential stand on it; searches, persistence, interop, the patch
and inspection read it.
"""
