"""A table as it comes out of a shop's database: nothing in it was made for a matrix."""

import numpy as np

CITIES = 400
STATUS = ["new", "open", "paid", "returned"]
WORDS = [
    "please", "leave", "parcel", "behind", "the", "door", "call", "before", "delivery", "gift", "wrap",
    "fragile", "urgent", "second", "floor", "ring", "twice", "no", "bell", "neighbour", "garage", "weekend",
    "only", "morning", "evening",
]


def sales(n=200_000, seed=0):
    """(columns by name, target) of n orders; cells are text wherever a shop would write them as text.

    The target depends on the price, the count, the day, the hour, the city and the status, with noise.
    """
    rng = np.random.default_rng(seed)
    price = np.round(rng.lognormal(9, 1, n), 2)
    visits = rng.integers(0, 40_000, n)
    day = rng.integers(0, 1400, n)
    hour = rng.integers(0, 24, n)
    popularity = 1.0 / np.arange(1, CITIES + 1)
    city = rng.choice(CITIES, n, p=popularity / popularity.sum())
    of_city = rng.normal(size=CITIES)
    status = rng.integers(0, 4, n)
    numbers = rng.normal(size=(n, 5))
    when = np.datetime64("2020-01-01") + day
    names = np.array([f"Port {chr(65 + i % 26)}{i // 26} on Sea" if i % 3 else f"Ville {i}" for i in range(CITIES)])
    target = (
        0.8 * np.log(price) + visits / 2e4 + of_city[city] + 0.4 * np.sin(2 * np.pi * hour / 24)
        + 0.5 * (status == 2) + numbers @ [0.5, -0.4, 0.3, 0.0, 0.2] + 0.3 * rng.normal(size=n)
    )
    stamps = np.char.add(np.char.add(when.astype("U10"), " "), np.char.add(np.char.zfill(hour.astype("U2"), 2), ":30"))
    columns = {
        "order_id": np.arange(n) + 100_000,
        "price": np.array([f"${value:,.2f}" for value in price.tolist()], dtype=object),
        "visits": np.array([f"{value:,}" for value in visits.tolist()], dtype=object),
        "ordered": stamps.astype(object),
        "shipped": np.array([f"{d[5:7]}/{d[8:10]}/{d[:4]}" for d in (when + 3).astype("U10")], dtype=object),
        "city": names[city].astype(object),
        "discount": np.array([f"{value}%" for value in rng.integers(0, 60, n).tolist()], dtype=object),
        "weight": np.array([f"{value:.1f} kg" for value in np.abs(10 * rng.normal(size=n)).tolist()], dtype=object),
        "gift": np.array(["yes", "no"], dtype=object)[rng.integers(0, 2, n)],
        "status": np.array(STATUS, dtype=object)[status],
        "channel": np.array(["web", "phone", "shop"], dtype=object)[rng.integers(0, 3, n)],
        "country": np.array([f"C{i:02d}x" for i in range(30)], dtype=object)[rng.integers(0, 30, n)],
        "zip": np.array([f"{i:05d}" for i in range(500, 530)], dtype=object)[rng.integers(0, 30, n)],
        "currency": np.full(n, "USD", dtype=object),
        **{f"measure{i}": numbers[:, i].copy() for i in range(5)},
    }
    for name in ("price", "ordered", "city", "weight", "channel"):
        columns[name][rng.random(n) < 0.03] = None
    for name in ("measure0", "measure3"):
        columns[name][rng.random(n) < 0.05] = np.nan
    return columns, target


def notes(n, seed=0):
    """n cells of free text."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(3, 9, n)
    return np.array([" ".join(rng.choice(WORDS, k)) for k in lengths], dtype=object)
