"""A kernel of your own loop

The compiled losses, updates and proximal maps can be called by address, from ctypes,
Numba or Cython. Here ctypes drives one proximal map in a loop that is not fasttrain's:
iterative soft thresholding for a sparse signal (Daubechies et al. 2004).
"""

import ctypes
import matplotlib.pyplot as plt
import numpy as np
from fasttrain import embedding

prox = embedding.function("penalties", "penalty_prox_array", "float64")

rng = np.random.default_rng(1)
truth = np.zeros(200)
truth[rng.choice(200, 10, replace=False)] = rng.normal(scale=2, size=10)
A = rng.normal(size=(80, 200)) / np.sqrt(80)
y = A @ truth + rng.normal(scale=0.02, size=80)

step = 1 / np.linalg.norm(A, 2) ** 2
w = np.zeros(200)
for _ in range(1000):
    w -= step * (A.T @ (A @ w - y))
    prox(w.ctypes.data_as(ctypes.c_void_p), w.size, 0.05 * step, 0.0)

figure, ax = plt.subplots(figsize=(7, 3.5))
ax.stem(np.flatnonzero(truth), truth[truth != 0], linefmt="#999999",
        markerfmt="o", basefmt=" ", label="truth")
ax.plot(np.flatnonzero(w), w[w != 0], "x", color="#d62728", label="found")
ax.set_title("80 equations, 200 unknowns, 10 of them not zero")
ax.legend()
print(f"{np.count_nonzero(w)} of {w.size} are not zero")
