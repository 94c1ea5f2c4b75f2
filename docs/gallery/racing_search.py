"""A race in place of a grid

All candidates begin, the worse ones leave after a few epochs, and the last run to the
end (Jamieson and Talwalkar 2016). They go on from where they were: nothing is fitted
twice.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from fasttrain import MLPClassifier
from fasttrain.model_selection import RacingSearchCV

X, y = load_digits(return_X_y=True)
X = X / 16
grid = {"learning_rate_init": np.logspace(-4, 0, 9), "alpha": [1e-4, 1e-2, 1.0]}

model = MLPClassifier((30,), solver="sgd", batch_size=50, random_state=0)
race = RacingSearchCV(model, grid, factor=3, max_epochs=27, cv=3).fit(X, y)

results = race.cv_results_
score = np.asarray(results["mean_test_score"], dtype=float)
rates = np.asarray(results["param_learning_rate_init"], dtype=float)
figure, ax = plt.subplots(figsize=(7, 4))
ax.step(range(len(race.n_candidates_)), race.n_candidates_, where="mid",
        label="candidates in the race")
ax.plot(range(len(race.n_epochs_)), race.n_epochs_, marker="o",
        label="epochs they have run")
ax.set(xticks=range(len(race.n_epochs_)), xlabel="rung",
       title=f"Best: rate {race.best_params_['learning_rate_init']:.2g}, "
             f"score {race.best_score_:.3f}")
ax.legend()
print("candidates", race.n_candidates_, "epochs", race.n_epochs_)
