"""What a network looks at

The gradient of the winning class's output with respect to each pixel, averaged over
the images of a digit: red pixels speak for the digit, blue ones against it. From the
network's own backward pass, for any number of rows.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from fasttrain import MLPClassifier
from fasttrain.inspection import input_gradients

X, y = load_digits(return_X_y=True)
X = X / 16
model = MLPClassifier((50,), "tanh", alpha=1.0, random_state=0, max_iter=400)
model.fit(X, y)

figure, axes = plt.subplots(2, 5, figsize=(7, 3.4))
for digit, ax in enumerate(axes.flat):
    mean = input_gradients(model, X[y == digit], target=digit).mean(axis=0)
    reach = abs(mean).max()
    ax.imshow(mean.reshape(8, 8), cmap="RdBu_r", vmin=-reach, vmax=reach)
    ax.set(xticks=[], yticks=[], title=str(digit))
print(f"accuracy {model.score(X, y):.3f}")
