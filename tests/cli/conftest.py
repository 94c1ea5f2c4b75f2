"""What the tests of the shell share: running a command, and a mixed table."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

from fasttrain import cli


@dataclass
class Shell:
    """Runs commands and reads what they say."""

    capsys: object

    def __call__(self, *arguments):
        code = cli.main([str(a) for a in arguments])
        captured = self.capsys.readouterr()
        return code, captured.out, captured.err

    def done(self, *arguments):
        """What a command that goes well says."""
        code, out, err = self(*arguments)
        assert code == 0, err
        return out

    def refused(self, *arguments):
        """The one line with which the command is refused."""
        code, out, err = self(*arguments)
        assert code == 2, (out, err)
        assert out == ""
        assert err.startswith("fasttrain: ")
        assert err.count("\n") == 1
        assert all(c.isprintable() or c == "\n" for c in err)
        return err


@pytest.fixture
def shell(capsys):
    return Shell(capsys)


@pytest.fixture(scope="session")
def houses():
    """A table with a price of some hundred thousands, numbers and words."""
    rng = np.random.default_rng(5)
    n = 160
    area, rooms = rng.uniform(30, 200, n).round(1), rng.integers(1, 7, n)
    place = rng.choice(["centre", "north", "south"], n)
    price = 90_000 + 2_500 * area + 9_000 * rooms + 60_000 * (place == "centre") + rng.normal(0, 15_000, n)
    return pd.DataFrame({
        "area": area, "rooms": rooms, "place": place, "price": price.round(2),
        "big": np.where(area + rng.normal(0, 10, n) > 110, "yes", "no"),
    })  # fmt: skip


@pytest.fixture
def prices(houses, tmp_path):
    houses.drop(columns="big").to_csv(tmp_path / "prices.csv", index=False)
    return tmp_path / "prices.csv"
