"""The same script, sooner

`patched` lets scikit-learn's names be answered by fasttrain for a block: the script
stays as it is, and so does its answer, to rounding. What it gains depends on the
machine; `fasttrain bench --script` measures it on yours.
"""

from time import perf_counter
import matplotlib.pyplot as plt
import numpy as np
import fasttrain

def script():
    from sklearn.datasets import make_classification
    from sklearn.linear_model import SGDClassifier
    X, y = make_classification(20000, 50, random_state=0)
    started = perf_counter()
    model = SGDClassifier(loss="log_loss", max_iter=20, tol=None,
                          random_state=0)
    model.fit(X, y)
    return model.coef_[0], perf_counter() - started

before, slow = script()
with fasttrain.patched():
    after, fast = script()

figure, (left, right) = plt.subplots(1, 2, figsize=(7, 3.2))
left.barh(["scikit-learn", "patched"], [slow, fast], color=["#999999", "C0"])
left.set(xlabel="seconds", title="Fit")
right.plot(before, after, ".")
right.axline((0, 0), slope=1, color="#999999", linewidth=1)
right.set(xlabel="scikit-learn's coefficients", title="The same model")
print(f"largest difference {np.abs(before - after).max():.1e}")
