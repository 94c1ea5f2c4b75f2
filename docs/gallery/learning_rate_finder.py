"""Find a learning rate in one pass

The rate grows from step to step, a thousandfold and more, while the loss is watched:
where it falls fastest is a rate to begin with, where it climbs again one that is too
large (Smith 2017). `learning_rate_finder` leaves the estimator as it was.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from fasttrain import MLPClassifier, learning_rate_finder
from fasttrain.preprocessing import StandardScaler

X, y = load_digits(return_X_y=True)
X = StandardScaler().fit_transform(X)
model = MLPClassifier((64,), solver="sgd", random_state=0)

found = learning_rate_finder(model, X, y, max_learning_rate=100.0)

figure, ax = plt.subplots(figsize=(7, 3.5))
found.plot(ax=ax)
ax.set_title("Loss while the learning rate grows")
print(f"suggested: {found.suggestion:.3g}")
