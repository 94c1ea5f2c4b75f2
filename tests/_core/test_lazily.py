"""What an object finds out when it is first asked."""

import pytest

from fasttrain._core.lazily import lazy


class Squared:
    """Counts how often it is asked."""

    def __init__(self, value):
        self.value = value
        self.asked = 0

    @lazy
    def square(self):
        """The value times itself."""
        self.asked += 1
        if self.value is None:
            raise ValueError("no value")
        return self.value**2


def test_is_found_once_for_each_object():
    one, other = Squared(3), Squared(4)
    assert (one.square, one.square, other.square) == (9, 9, 16)
    assert (one.asked, other.asked) == (1, 1)
    assert vars(one)["square"] == 9


def test_is_asked_again_after_an_error():
    broken = Squared(None)
    for _ in range(2):
        with pytest.raises(ValueError, match="no value"):
            broken.square  # noqa: B018
    assert broken.asked == 2
    broken.value = 5
    assert broken.square == 25


def test_the_class_tells_what_it_is():
    assert Squared.square.__doc__ == "The value times itself."
