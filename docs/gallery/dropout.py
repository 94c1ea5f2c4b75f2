"""Dropout against overfitting

Few rows, many units: without help the network learns the noise. Dropout turns a part
of the units off in each training step (Srivastava et al. 2014); the masks come from
the seed alone, so the model is the same for any number of threads.
"""

import warnings
import matplotlib.pyplot as plt
from sklearn.datasets import make_classification
from fasttrain import MLPClassifier

X, y = make_classification(1200, 40, n_informative=12, flip_y=0.1,
                           class_sep=0.8, random_state=3)
train, test = slice(0, 200), slice(200, None)

figure, ax = plt.subplots(figsize=(7, 4))
scores = {}
for dropout, color in ((0.0, "#d62728"), (0.5, "#1f77b4")):
    model = MLPClassifier((200, 200), dropout=dropout, learning_rate_init=0.002,
                          max_iter=60, tol=0.0, n_iter_no_change=60,
                          random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # all 60 epochs are wanted
        model.fit(X[train], y[train], validation_data=(X[test], y[test]))
    scores[dropout] = model.score(X[test], y[test])
    ax.plot(model.validation_loss_curve_, color=color,
            label=f"dropout {dropout}: accuracy {scores[dropout]:.3f}")
ax.set(xlabel="epoch", ylabel="loss on 1000 new rows",
       title="200 training rows, 200 + 200 units")
ax.legend()
print({rate: round(score, 3) for rate, score in scores.items()})
