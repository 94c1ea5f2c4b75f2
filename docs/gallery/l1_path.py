"""Coefficients that become exactly zero

Along a path of penalties the lasso lets one feature in after the other. All of the
path is one call: each solution starts from the last, and features that cannot come in
yet are left out of the work.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import load_diabetes
from fasttrain.linear_model import lasso_path

data = load_diabetes()
alphas, coefs, _ = lasso_path(data.data, data.target, alphas=60)

figure, ax = plt.subplots(figsize=(7, 4))
for name, coef in zip(data.feature_names, coefs):
    ax.plot(alphas, coef, label=name)
ax.set(xscale="log", xlabel="alpha", ylabel="coefficient",
       title="The lasso path of the diabetes data")
ax.invert_xaxis()
ax.legend(ncol=2, fontsize="small")
zeros = (coefs == 0.0).sum(axis=0)
print("exact zeros, from the strongest penalty on:", zeros[::10].tolist())
