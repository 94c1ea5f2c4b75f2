"""Rows that stay on disk, in the order they were written

A file sorted by its label is the worst order there is to learn from. Blocks are taken
in random order and several at a time are shuffled together, so that a buffer of some
blocks learns as well as all rows in memory.
"""

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from fasttrain.data import from_npy
from fasttrain.linear_model import SGDClassifier

rng = np.random.default_rng(0)
y = np.repeat([0, 1], 20_000)
X = rng.standard_normal((40_000, 20)) + 0.5 * y[:, None]
folder = tempfile.TemporaryDirectory()
for name, array in {"X": X, "y": y}.items():
    np.save(Path(folder.name, name), array)

settings = {"loss": "log_loss", "learning_rate": "constant", "eta0": 0.02,
            "max_iter": 8, "tol": None, "random_state": 0}
figure, ax = plt.subplots(figsize=(7, 4))
whole = SGDClassifier(**settings).fit(X, y)
print(f"all rows in memory: {whole.score(X, y):.3f}")
ax.axhline(whole.score(X, y), color="grey", linestyle=":",
           label="all rows in memory")
for blocks in (1, 4, 16):
    source = from_npy(Path(folder.name, "X.npy"), Path(folder.name, "y.npy"),
                      block_rows=500, buffer_blocks=blocks)
    scores = []
    for epochs in range(1, 9):
        now = settings | {"max_iter": epochs}
        scores.append(SGDClassifier(**now).fit(source).score(X, y))
    ax.plot(range(1, 9), scores, marker="o",
            label=f"{blocks} of {source.n_blocks} blocks")
    print(f"a buffer of {blocks} blocks: {scores[-1]:.3f}")
ax.set(xlabel="epochs", ylabel="accuracy",
       title="A file sorted by label, read in blocks")
ax.legend(fontsize="small")
