"""Stop when the held-out rows stop improving

With `early_stopping` a tenth of the rows is held out; training ends when their score
has not improved for some epochs, and the weights of the best epoch are kept. The same
network without it goes on to learn its training rows by heart.
"""

import warnings
import matplotlib.pyplot as plt
from sklearn.datasets import make_moons
from sklearn.model_selection import train_test_split
from fasttrain import MLPClassifier

X, y = make_moons(600, noise=0.35, random_state=0)
X, X_val, y, y_val = train_test_split(X, y, test_size=0.5, random_state=0)
settings = {"hidden_layer_sizes": (100, 100), "learning_rate_init": 0.005,
            "max_iter": 400, "n_iter_no_change": 25, "tol": 0.0,
            "random_state": 0}

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # all 400 epochs are wanted
    whole = MLPClassifier(**{**settings, "n_iter_no_change": 1000})
    whole.fit(X, y, validation_data=(X_val, y_val))
stopped = MLPClassifier(**settings, early_stopping=True)
stopped.fit(X, y, validation_data=(X_val, y_val))

figure, ax = plt.subplots(figsize=(7, 4))
ax.plot(whole.loss_curve_, label="training loss")
ax.plot(whole.validation_loss_curve_, label="loss on held-out rows")
ax.axvline(stopped.n_iter_, color="#d62728", linestyle="--",
           label=f"early stopping: epoch {stopped.n_iter_}")
ax.set(xlabel="epoch", title="400 epochs, and where early stopping ends")
ax.legend()
print(f"after {whole.n_iter_} epochs {whole.score(X_val, y_val):.3f}, "
      f"stopped after {stopped.n_iter_} {stopped.score(X_val, y_val):.3f}")
