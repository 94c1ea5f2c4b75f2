"""What estimators share.

``data`` checks X, y, weights and validation data; ``rows`` names rows of a matrix that is not copied; ``fitted`` puts a
fit's outcome on the estimator, all of it or nothing. Linear models, networks and preprocessing stand on it.
"""
