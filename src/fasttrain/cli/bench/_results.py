"""Results of ``fasttrain bench``: as a table, as a page, beside those of another machine or release."""

import json

from fasttrain.cli import _charts as charts
from fasttrain.cli import _page as page
from fasttrain.cli._screen import seconds_of

OURS = "fasttrain"


def load_results(path):
    """The results that an earlier run has written.

    Raises
    ------
    ValueError
        When the file is none.
    """
    try:
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
        rows = [(row["name"], row["unit"], row["times"][OURS]["median"] + 0.0) for row in found["rows"]]
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from None
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is no result of fasttrain bench: {error!r}") from None
    if not rows:
        raise ValueError(f"{path} holds no measurement")
    return found


def lines_of(found):
    """[work, unit, ours, spread, peers and their ratios] of each row, as text."""
    lines = []
    for row in found["rows"]:
        times = dict(row["times"])
        ours = times.pop(OURS)
        spread = (ours["high"] - ours["low"]) / ours["median"]
        ratios = ", ".join(f"{label} {time['median'] / ours['median']:.3g}x" for label, time in times.items())
        lines.append([row["name"], f"{seconds_of(ours['median'])} a {row['unit']}", f"{spread:.0%}", ratios])
    return lines


def compared(old, new):
    """[work, ours then and now, how many times faster, the first peer over ours then and now] of what both have."""
    before = {row["name"]: row for row in old["rows"]}
    lines = []
    for row in new["rows"]:
        if row["name"] not in before:
            continue
        then, now = before[row["name"]]["times"], row["times"]
        a, b = then[OURS]["median"], now[OURS]["median"]
        peer = next((label for label in now if label != OURS and label in then), None)
        ratios = ["", ""] if peer is None else [
            f"{then[peer]['median'] / a:.3g}x", f"{now[peer]['median'] / b:.3g}x"
        ]
        lines.append([row["name"], seconds_of(a), seconds_of(b), f"{a / b:.2f}x", *ratios])
    return lines


def moved(old, new):
    """What changed by more than the noise: [(work, how many times as long it takes now, the noise)], worst first.

    Where both runs have the same peer, its own change, which is the machine's, is taken out. The noise is what the
    quartiles of all the medians involved are apart, relative to them.
    """
    before = {row["name"]: row["times"] for row in old["rows"]}
    found = []
    for row in new["rows"]:
        then, now = before.get(row["name"]), row["times"]
        if then is None:
            continue
        labels = [OURS, *[label for label in now if label != OURS and label in then][:1]]
        change, noise = 1.0, 0.0
        for sign, label in zip((1, -1), labels, strict=False):
            change *= (now[label]["median"] / then[label]["median"]) ** sign
            noise += sum((time["high"] - time["low"]) / time["median"] / 2 for time in (then[label], now[label]))
        if max(change, 1 / change) > 1 + noise:
            found.append((row["name"], change, noise))
    return sorted(found, key=lambda each: -each[1])


COMPARED_HEADINGS = ("work", "then", "now", "faster", "x peer then", "x peer now")


def told_load(found):
    """The load as text, with a warning where others used the cores."""
    loads = [value for value in found["load"] if value is not None]
    if not loads:
        return "load unknown"
    said = f"load {loads[0]:.1f} before, {loads[-1]:.1f} after"
    busy = loads[0] > 0.4 * (found["machine"]["cores"] or 1)
    return said + ("; OTHERS USED THE CORES, ratios hold better than times" if busy else "")


def report(found, old=None):
    """The results as one HTML file."""
    facts = [[name, str(value)] for name, value in found["machine"].items()]
    rows = []
    for row in found["rows"]:
        ours = row["times"][OURS]["median"]
        rows += [
            (row["name"], time["median"] / ours, None)
            for label, time in row["times"].items() if label == "scikit-learn"
        ]
    sections = [
        _ratios(rows) if rows else None,
        page.section("Machine", page.table(["", ""], facts, left=2) + page.note(told_load(found)), wide=True),
        page.section("Times", _times(found), wide=True),
    ]
    if old is not None:
        then = {name: value for name, value in old["machine"].items() if found["machine"].get(name) != value}
        differ = ", ".join(f"{name} was {value}" for name, value in then.items())
        body = page.table(COMPARED_HEADINGS, compared(old, found))
        sections.append(page.section("Beside the earlier run", body + page.note(differ), wide=True))
    machine = found["machine"]
    lead = f"{machine['processor']}, {machine['threads']} threads, {machine['instruction set']}"
    return page.page("fasttrain bench", lead, [page.grid(sections)])


def _ratios(rows):
    body = charts.bars(rows, "ratios", "x", names=400, total=1000)
    return page.section("How many times as long scikit-learn takes", body, wide=True)


def _times(found):
    rows = []
    for row in found["rows"]:
        ours = row["times"][OURS]["median"]
        for label, time in row["times"].items():
            quartiles = f"{seconds_of(time['low'])} to {seconds_of(time['high'])}"
            ratio = "" if label == OURS else f"{time['median'] / ours:.3g}x"
            name = row["name"] if label == OURS else ""
            cells = [name, label, f"{seconds_of(time['median'])} a {row['unit']}", quartiles, str(time["runs"])]
            rows.append([*cells, str(time["blas_threads"]), ratio])
    headings = ["work", "library", "median", "middle half", "runs", "BLAS threads", "x fasttrain"]
    words = "In turn in one process, every library with the number of BLAS threads, one or all, that is best for it."
    return page.table(headings, rows, left=2) + page.note(words)
