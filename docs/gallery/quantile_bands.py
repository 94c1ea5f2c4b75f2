"""Bands that hold nine of ten

The quantile loss asks for a quantile in place of the mean (Koenker and Bassett 1978).
Two networks, for 5 % and for 95 %, make a band that is as wide as the noise is at each
place.
"""

import matplotlib.pyplot as plt
import numpy as np
from fasttrain import MLPRegressor
from fasttrain.losses import Quantile

rng = np.random.default_rng(0)
x = np.sort(rng.uniform(-3, 3, 500))
y = np.sin(x) + rng.normal(scale=0.1 + 0.15 * (x + 3), size=500)

bands = {}
for q in (0.05, 0.5, 0.95):
    model = MLPRegressor(Quantile(q), (32, 32), "tanh", max_iter=300,
                         learning_rate_init=0.005, random_state=0)
    bands[q] = model.fit(x[:, None], y).predict(x[:, None])

inside = np.mean((y > bands[0.05]) & (y < bands[0.95]))
figure, ax = plt.subplots(figsize=(7, 4))
ax.plot(x, y, ".", markersize=3, color="#888888")
ax.fill_between(x, bands[0.05], bands[0.95], alpha=0.3, label="5 % to 95 %")
ax.plot(x, bands[0.5], label="median")
ax.set_title(f"{inside:.0%} of the rows are inside")
ax.legend(loc="upper left")
print(f"inside the band: {inside:.3f}")
