"""Four optimizers on one valley

Each takes the same steps along the gradient of Rosenbrock's function and keeps its own
memory. `init` makes that memory, `step` changes parameters and memory in place: the
same two calls train anything whose gradient you can write down.
"""

import matplotlib.pyplot as plt
import numpy as np
from fasttrain.optimizers import Adam, GradientDescent, Momentum, RMSprop

def gradient(w):
    x, y = w
    return np.array([2 * (x - 1) - 40 * x * (y - x**2), 20 * (y - x**2)])

paths = {}
for rule in (GradientDescent(0.003), Momentum(0.003), RMSprop(0.02), Adam(0.1)):
    w = np.array([-1.5, 2.0])
    state = rule.init(w)
    path = [w.copy()]
    for _ in range(200):
        rule.step(w, gradient(w), state)
        path.append(w.copy())
    paths[type(rule).__name__] = np.array(path)

x, y = np.meshgrid(np.linspace(-2, 2, 200), np.linspace(-0.6, 3, 200))
figure, ax = plt.subplots(figsize=(7, 4.5))
height = (1 - x) ** 2 + 10 * (y - x**2) ** 2
ax.contour(x, y, np.log1p(height), levels=12, colors="#80808060", linewidths=1)
for name, path in paths.items():
    ax.plot(*path.T, label=name, linewidth=1.5)
ax.plot(1, 1, "*", markersize=14, color="#d62728")
ax.set(xlim=(-2, 2), ylim=(-0.6, 3), title="200 steps down the same valley")
ax.legend(loc="upper right")
print({name: np.round(path[-1], 2).tolist() for name, path in paths.items()})
