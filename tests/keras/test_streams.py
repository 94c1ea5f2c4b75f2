"""Rows that come batch by batch."""

from contextlib import nullcontext
from itertools import pairwise

import numpy as np
import pytest
from sequential_cases import CODES, X, classifier, same
from scipy import sparse

from fasttrain import keras
from fasttrain.keras.callbacks import LambdaCallback


def batches(size=20, weights=None):
    for start in range(0, len(X), size):
        rows = slice(start, start + size)
        yield (X[rows], CODES[rows]) if weights is None else (X[rows], CODES[rows], weights[rows])


class Indexed(keras.utils.PyDataset):
    def __init__(self, size=20):
        super().__init__()
        self.size, self.ended = size, 0

    def __len__(self):
        return -(-len(X) // self.size)

    def __getitem__(self, number):
        if not 0 <= number < len(self):
            raise IndexError(number)
        rows = slice(number * self.size, (number + 1) * self.size)
        return X[rows], CODES[rows]

    def on_epoch_end(self):
        self.ended += 1


class Again:
    """Can be iterated anew."""

    def __iter__(self):
        return batches()


def endless(size=20):
    while True:
        yield from batches(size)


def pair():
    keras.utils.set_random_seed(0)
    first = classifier(metrics=["accuracy", "sparse_categorical_crossentropy"])
    second = classifier(metrics=["accuracy", "sparse_categorical_crossentropy"])
    second.set_weights(first.get_weights())
    return first, second


@pytest.mark.parametrize("make, steps", [
    (Indexed, None), (Again, None), (endless, 6),
])
@pytest.mark.parametrize("hooks", [False, True])
def test_batches_train_as_the_array_does(make, steps, hooks):
    array, stream = pair()
    given = [keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: seen.append(batch))] if hooks else []
    seen = []
    expected = array.fit(X, CODES, batch_size=20, epochs=3, shuffle=False, verbose=0)
    history = stream.fit(make(), epochs=3, steps_per_epoch=steps, shuffle=False, verbose=0, callbacks=given)
    assert same(array, stream)
    for name, values in expected.history.items():
        assert history.history[name] == pytest.approx(values, rel=1e-6), name
    assert seen == [*range(6)] * 3 * hooks
    assert stream.optimizer.iterations == 18


def test_batches_of_several_sizes_make_a_step_each():
    array, stream = pair()
    sizes = [5, 5, 40, 40, 7, 23]
    edges = np.cumsum([0, *sizes])
    given = [(X[a:b], CODES[a:b]) for a, b in pairwise(edges)]
    # each by itself
    totals = [array.train_on_batch(x, y)[0] * len(x) for x, y in given]
    history = stream.fit(iter(given), verbose=0)
    assert stream.optimizer.iterations == len(sizes)
    assert same(array, stream)
    assert history.history["loss"] == pytest.approx([sum(totals) / len(X)], rel=1e-6)


@pytest.mark.parametrize("make, steps", [(Indexed, None), (Again, None), (endless, 6), (batches, None)])
def test_a_model_learns_the_shape_of_its_rows_from_the_first_batch(make, steps):
    models = []
    for given in ((X, CODES), (make(),)):
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.layers.Dense(8, "relu"), keras.layers.Dense(3, "softmax")])
        model.compile("sgd", "sparse_categorical_crossentropy")
        size = {"batch_size": 20} if len(given) == 2 else {"steps_per_epoch": steps}
        model.fit(*given, shuffle=False, verbose=0, **size)
        models.append(model)
    assert same(*models)
    assert models[1].optimizer.iterations == 6


def test_weights_and_sparse_rows_in_batches():
    array, stream = pair()
    weights = np.linspace(0, 2, len(X)).astype("float32")
    array.fit(X, CODES, sample_weight=weights, batch_size=20, shuffle=False, verbose=0)
    stream.fit(((sparse.csr_array(x), y, w) for x, y, w in batches(weights=weights)), verbose=0)
    assert same(array, stream)


def test_order_of_numbered_batches_and_the_end_of_an_epoch():
    data = Indexed()
    model = classifier()
    asked = []
    real = data.__getitem__
    Indexed.__getitem__ = lambda self, number: (asked.append(number), real(number))[1]
    try:
        model.fit(data, epochs=2, verbose=0)
    finally:
        Indexed.__getitem__ = lambda self, number: real.__func__(self, number)
    assert data.ended == 2
    assert sorted(asked[:6]) == sorted(asked[6:]) == [0, 1, 2, 3, 4, 5]
    assert asked[:6] != asked[6:]


def test_validation_evaluation_and_prediction_of_batches():
    model = classifier()
    history = model.fit(X, CODES, verbose=0, validation_data=Indexed())
    assert history.history["val_loss"] == pytest.approx([model.evaluate(X, CODES, verbose=0)[0]], rel=1e-6)
    model.fit(X, CODES, verbose=0, validation_data=endless(), validation_steps=2)
    assert model.evaluate(Again(), verbose=0) == pytest.approx(model.evaluate(X, CODES, verbose=0))
    first = model.evaluate(X[:40], CODES[:40], verbose=0)
    assert model.evaluate(endless(), steps=2, verbose=0) == pytest.approx(first)
    np.testing.assert_array_equal(model.predict(Indexed()), model.predict(X))
    np.testing.assert_array_equal(model.predict((x for x, _ in batches()), steps=2), model.predict(X[:40]))


def test_arrays_that_are_filled_again_are_taken_as_they_came():
    def refilled():
        x, y = np.empty((20, 6)), np.empty(20)
        for part, codes in batches():
            x[:], y[:] = part, codes
            yield x, y

    class Refilled:
        def __iter__(self):
            return refilled()

    first, second = pair()
    assert first.fit(Refilled(), epochs=2, verbose=0).history == second.fit(Again(), epochs=2, verbose=0).history
    assert same(first, second)
    np.testing.assert_array_equal(first.predict(Refilled()), first.predict(X))
    assert first.evaluate(Refilled(), verbose=0) == first.evaluate(X, CODES, verbose=0)


def test_weights_may_come_with_some_batches_only():
    first, second = pair()
    held = first.get_weights()
    first.fit(iter([(X[:20], CODES[:20]), (X[20:40], CODES[20:40], np.zeros(20))]), epochs=1, verbose=0)
    second.fit(iter([(X[:20], CODES[:20], np.ones(20)), (X[20:40], CODES[20:40], np.zeros(20))]), epochs=1, verbose=0)
    assert same(first, second)
    assert not np.array_equal(first.get_weights()[0], held[0])


@pytest.mark.parametrize("passes, steps, epochs, steps_of_epochs", [
    (2, 8, 9, [8, 4]), (2, 6, 9, [6, 6]), (2, 4, 3, [4, 4, 4]), (1, None, 3, [6]), (1, 5, 2, [5, 1]),
])
def test_a_generator_that_ends_ends_the_training(passes, steps, epochs, steps_of_epochs):
    model, taken = classifier(), []
    given = (batch for _ in range(passes) for batch in batches())
    fits_in = steps is not None and steps * epochs <= passes * 6
    with nullcontext() if fits_in else pytest.warns(UserWarning, match="x ran out of batches"):
        history = model.fit(given, steps_per_epoch=steps, epochs=epochs, verbose=0, callbacks=[
            LambdaCallback(on_epoch_end=lambda epoch, logs: taken.append(int(model.optimizer.iterations)))])
    assert history.epoch == list(range(len(steps_of_epochs)))
    assert taken == np.cumsum(steps_of_epochs).tolist()


def test_batches_past_the_last_epoch_are_left_to_the_generator():
    given = batches()
    given = iter(given)
    classifier().fit(given, steps_per_epoch=2, epochs=2, verbose=0)
    assert len(list(given)) == 2


@pytest.mark.parametrize("arguments, message", [
    ({"x": iter([])}, "x must yield a batch at least"),
    ({"x": Indexed(), "y": CODES}, "y must not be given"),
    ({"x": Indexed(), "validation_split": 0.1}, "validation_split must not be given"),
    ({"x": Indexed(), "steps_per_epoch": 0}, "steps_per_epoch must be"),
    ({"x": iter([(X, CODES, None, None)])}, "got 4 parts"),
    ({"x": iter([(X[:, :3], CODES)])}, r"rows of shape \(6,\)"),
    ({"x": iter([(X, CODES), (X, CODES + 9)])}, "class codes"),
    ({"x": iter([(X, CODES), (X[:, :3], CODES)])}, r"x must have rows of shape \(6,\)"),
    ({"x": iter([(X, CODES), (X, None)])}, "y must be given"),
    # as many rows of each in all
    ({"x": iter([(X, CODES[:60]), (X[:60], CODES)])}, r"y of a batch must have 120 rows as x has, got shape \(60,\)"),
    ({"x": iter([(X, CODES, np.ones(3))])}, "sample_weight of a batch must have 120 rows"),
    ({"x": iter(["ab"])}, "x of a batch must be an array of rows"),
    ({"x": iter([(None, CODES)])}, "x of a batch must be an array of rows, got None"),
    ({"x": X, "y": CODES, "validation_data": iter([(X, CODES), (X[:, :3], CODES)])}, "x must have rows of one shape"),
    ({"x": X, "y": CODES, "validation_data": iter([(X, CODES), (X, CODES, np.ones(120))])},
     "sample_weight must have rows of one shape in all batches"),
])
def test_bad_batches_change_nothing(arguments, message):
    model = classifier()
    model.fit(X, CODES, verbose=0)
    before = model.get_weights()
    with pytest.raises(ValueError, match=message):
        model.fit(**arguments, verbose=0)
    assert all((a == b).all() for a, b in zip(before, model.get_weights()))
    assert model.optimizer.iterations == 4
