"""Leave-one-out for the price of one fit

The error of n fits, each without one row, comes out of a single decomposition in
closed form (Allen 1974). `RidgeCV` tries a whole range of penalties on it, and keeps
the error of each row.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes
from fasttrain.linear_model import Ridge, RidgeCV
from fasttrain.model_selection import LeaveOneOut, cross_val_score

X, y = load_diabetes(return_X_y=True)
alphas = np.logspace(-4, 2, 40)
model = RidgeCV(alphas, store_cv_results=True).fit(X, y)
errors = model.cv_results_.mean(axis=0)

one = Ridge(model.alpha_)
slow = -cross_val_score(one, X, y, cv=LeaveOneOut(),
                        scoring="neg_mean_squared_error").mean()

figure, ax = plt.subplots(figsize=(7, 3.5))
ax.plot(alphas, errors, marker=".", label="closed form, 40 penalties")
ax.plot(model.alpha_, slow, "o", markersize=10, fillstyle="none",
        color="#d62728", label=f"{len(y)} fits, one penalty")
ax.set(xscale="log", xlabel="alpha", ylabel="mean squared error",
       title="Leave-one-out error")
ax.legend()
print(f"alpha {model.alpha_:.3g}: {errors.min():.4f} and {slow:.4f}")
