"""Runs the compiled package and compares it with NumPy; prints 'same' when all agrees."""

import numpy as np
from downstream import model

rng = np.random.default_rng(0)
y, z = rng.normal(size=(2, 1000)) * 3
r = z - y
expected = np.where(abs(r) <= 1.5, r**2 / 2, 1.5 * (abs(r) - 0.75))
value, slope = np.empty((2, 1000))
model.huber_of_each(y, z, 1.5, value, slope, 2)
np.testing.assert_allclose(value, expected, rtol=1e-13)
np.testing.assert_allclose(slope, np.clip(r, -1.5, 1.5), rtol=1e-13)
slope32 = np.empty(1000, np.float32)
total = model.huber_sum(y.astype(np.float32), z.astype(np.float32), 1.5, slope32)
np.testing.assert_allclose(total, expected.sum(), rtol=1e-5)
np.testing.assert_allclose(slope32, slope, rtol=1e-5, atol=1e-6)

X = rng.normal(size=(200, 30))
truth = np.zeros(30)
truth[:4] = [3, -2, 1, 4]
target = X @ truth + 0.1 * rng.normal(size=200)
found = model.lasso(X, target, 0.2, 0.3, 500)
w = np.zeros(30)
for _ in range(500):
    w = w - 0.3 * X.T @ (X @ w - target) / 200
    w = np.sign(w) * np.maximum(abs(w) - 0.3 * 0.2, 0)
np.testing.assert_allclose(found, w, rtol=1e-10, atol=1e-12)
assert (found[4:] == 0).sum() > 20
residual = X.T @ (X @ found - target) / 200
assert abs(residual).max() < 0.2 + 1e-8

w, g = rng.normal(size=(2, 5, 400))
m, v = np.zeros((2, 5, 400))
plain, mean, square = w.copy(), m.copy(), v.copy()
for t in range(1, 11):
    assert model.adam_of_each(w, g, m, v, 0.01, t, 2) == 0
    mean = 0.9 * mean + 0.1 * g
    square = 0.999 * square + 0.001 * g**2
    plain -= 0.01 * np.sqrt(1 - 0.999**t) / (1 - 0.9**t) * mean / (np.sqrt(square) + 1e-8)
np.testing.assert_allclose(w, plain, rtol=1e-11)

X = rng.normal(size=(300, 10))
Y = np.sin(X[:, :2])
shapes = [(10, 24), (24, 7), (7, 2)]
coefs = [rng.normal(size=shape) / 3 for shape in shapes]
intercepts = [rng.normal(size=shape[1]) / 3 for shape in shapes]
params = [a.copy() for pair in zip(coefs, intercepts) for a in pair]
means, squares = [np.zeros_like(p) for p in params], [np.zeros_like(p) for p in params]


def forward():
    outputs = [X]
    for i in range(0, 6, 2):
        z = outputs[-1] @ params[i] + params[i + 1]
        outputs.append(np.maximum(z, 0) if i < 4 else z)
    return outputs


curve = []
for t in range(1, 31):
    a = forward()
    d = (a[-1] - Y) / 300
    curve.append(((a[-1] - Y) ** 2).sum() / 600)
    grads = [None] * 6
    for i in (4, 2, 0):
        grads[i], grads[i + 1] = a[i // 2].T @ d, d.sum(axis=0)
        d = (d @ params[i].T) * (a[i // 2] > 0)
    for i, grad in enumerate(grads):
        means[i] = 0.9 * means[i] + 0.1 * grad
        squares[i] = 0.999 * squares[i] + 0.001 * grad**2
        params[i] -= 0.01 * np.sqrt(1 - 0.999**t) / (1 - 0.9**t) * means[i] / (np.sqrt(squares[i]) + 1e-8)
for n_threads in (1, 2, 3):
    own = [a.copy() for a in coefs], [a.copy() for a in intercepts]
    predictions, losses = model.train(X, Y, *own, 0.01, 30, n_threads)
    np.testing.assert_allclose(losses, curve, rtol=1e-9)
    np.testing.assert_allclose(predictions, forward()[-1], rtol=1e-7, atol=1e-9)
    for i in range(3):
        np.testing.assert_allclose(own[0][i], params[2 * i], rtol=1e-7, atol=1e-9)
        np.testing.assert_allclose(own[1][i], params[2 * i + 1], rtol=1e-7, atol=1e-9)
print("same")
