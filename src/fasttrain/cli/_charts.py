"""Charts as inline SVG, in the colours of :mod:`fasttrain.cli._page`."""

import math

from fasttrain.cli._page import text
from fasttrain.cli._screen import shortened

WIDTH, HEIGHT = 460, 290
LEFT, RIGHT, TOP, BOTTOM = 62, 12, 26, 44


def ticks(low, high, about=5):
    """Round numbers from ``low`` to ``high``."""
    if not high > low:
        return [low]
    raw = (high - low) / about
    base = 10 ** math.floor(math.log10(raw))
    step = next(base * factor for factor in (1, 2, 5, 10) if base * factor >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [k * step for k in range(first, math.floor(high / step + 1e-9) + 1)]


def told(value):
    """A tick's label."""
    return f"{value:.4g}".replace("e+0", "e").replace("e-0", "e-").replace("e+", "e")


class _Scale:
    """From values to places between ``start`` and ``end``."""

    def __init__(self, values, start, end, log=False, limits=None, margin=0.04):
        self.log = log
        values = [self._of(value) for value in (values if limits is None else limits)]
        low, high = min(values), max(values)
        if low == high:
            low, high = low - 0.5, high + 0.5
        extra = 0 if limits is not None else margin * (high - low)
        self.low, self.high = low - extra, high + extra
        self.start, self.end = start, end

    def _of(self, value):
        return math.log10(value) if self.log else float(value)

    def __call__(self, value):
        share = (self._of(value) - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self):
        if not self.log:
            return ticks(self.low, self.high)
        decades = self.high - self.low
        if decades < 0.7:
            return [value for value in ticks(10.0**self.low, 10.0**self.high, 4) if value > 0]
        whole = range(math.floor(self.low), math.floor(self.high) + 1)
        if decades > 2.5:
            return [10.0**k for k in whole if self.low <= k and abs(k) < 300][:: max(1, len(whole) // 5)]
        # the exponent by itself: 5 * 10.0**-1 is 0.5, 10.0 ** log10(0.5) is not
        values = [float(f"{digit}e{k}") for k in whole for digit in (1, 2, 5)]
        return [value for value in values if self.low <= math.log10(value) <= self.high]


def _axes(x, y, x_label, y_label):
    parts = []
    for value in x.ticks():
        parts.append(f'<line class="axis" x1="{x(value):.1f}" x2="{x(value):.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>')
        parts.append(f'<text x="{x(value):.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{told(value)}</text>')
    for value in y.ticks():
        parts.append(f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(value):.1f}" y2="{y(value):.1f}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y(value) + 4:.1f}" text-anchor="end">{told(value)}</text>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(f'<text x="{middle}" y="{HEIGHT - 8}" text-anchor="middle">{text(x_label)}</text>')
    parts.append(f'<text x="4" y="14">{text(y_label)}</text>')
    return parts


def _drawing(parts, title, height=HEIGHT, width=WIDTH):
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{text(title)}">\n' + "\n".join(parts) + "\n</svg>"
    )


def lines(series, x_label, y_label, log=False, limits=None, diagonal=False, dots=False):
    """Curves over the same axes.

    Parameters
    ----------
    series : list of (name, xs, ys)
        At most three; with more than one their names stand at the top right.
    x_label, y_label : str
    log : bool, default=False
        A logarithmic y axis, where all ys are positive.
    limits : ((low, high), (low, high)), optional
        Of x and y.
    diagonal : bool, default=False
        A broken line from corner to corner.
    dots : bool, default=False
        A dot for each point.
    """
    log = log and all(value > 0 for _, _, ys in series for value in ys)
    x = _Scale([v for _, xs, _ in series for v in xs], LEFT, WIDTH - RIGHT, limits=limits and limits[0], margin=0.01)
    y = _Scale([v for _, _, ys in series for v in ys], HEIGHT - BOTTOM, TOP, log, limits and limits[1])
    parts = _axes(x, y, x_label, y_label)
    if diagonal:
        parts.append(f'<line class="zero" x1="{x(0)}" y1="{y(0)}" x2="{x(1)}" y2="{y(1)}"/>')
    right = WIDTH - RIGHT
    for number, (_, xs, ys) in enumerate(series):
        places = " ".join(f"{x(a):.1f},{y(b):.1f}" for a, b in zip(xs, ys))
        parts.append(f'<polyline class="line c{number}" points="{places}"/>')
        if dots:
            parts += [f'<circle class="dot" cx="{x(a):.1f}" cy="{y(b):.1f}" r="3.5"/>' for a, b in zip(xs, ys)]
    if len(series) > 1:
        for number, (name, _, _) in reversed(list(enumerate(series))):
            parts.append(f'<text class="name" x="{right}" y="14" text-anchor="end">{text(name)}</text>')
            right -= 7 * len(name) + 8
            parts.append(f'<line class="line c{number}" x1="{right - 16}" x2="{right}" y1="10" y2="10"/>')
            right -= 26
    return _drawing(parts, f"{y_label} over {x_label}")


def cloud(xs, ys, x_label, y_label, zero=True):
    """A point for each pair, with a broken line at y = 0."""
    x = _Scale(xs, LEFT, WIDTH - RIGHT)
    y = _Scale([*ys, 0.0] if zero else ys, HEIGHT - BOTTOM, TOP)
    parts = _axes(x, y, x_label, y_label)
    parts += [f'<circle class="cloud" cx="{x(a):.1f}" cy="{y(b):.1f}" r="2.6"/>' for a, b in zip(xs, ys)]
    if zero:
        parts.append(f'<line class="zero" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(0):.1f}" y2="{y(0):.1f}"/>')
    return _drawing(parts, f"{y_label} over {x_label}")


def bars(rows, title, unit="", names=186, total=WIDTH):
    """Horizontal bars with their names at the left, to the left of 0 where negative.

    Parameters
    ----------
    rows : list of (name, value, spread or None)
    title : str
    unit : str, default=""
        Behind each number.
    names, total : int
        Widths of the names and of the whole.
    """
    step = 24
    lows = [min(0.0, value - (spread or 0)) for _, value, spread in rows]
    highs = [max(0.0, value + (spread or 0)) for _, value, spread in rows]
    reach = max(max(highs) - min(lows), 1e-300)
    room = 62
    start = names + (room if min(lows) < 0 else 4)
    width = total - room - start
    zero = start + width * -min(lows) / reach
    height = step * len(rows) + 8
    parts = []
    for number, (name, value, spread) in enumerate(rows):
        top = 4 + number * step
        end = zero + width * value / reach
        left, right = min(zero, end), max(zero, end)
        middle = top + 9
        label = text(shortened(name, names // 7))
        parts.append(f'<text class="name" x="{names - 4}" y="{top + 13}" text-anchor="end">{label}</text>')
        parts.append(f'<rect class="f{int(value < 0)}" x="{left:.1f}" y="{top}" width="{max(right - left, 0.8):.1f}" '
                     f'height="{step - 6}" rx="2"/>')
        if spread:
            off = width * spread / reach
            parts.append(f'<line class="axis" style="stroke: var(--ink)" x1="{end - off:.1f}" x2="{end + off:.1f}" '
                         f'y1="{middle}" y2="{middle}"/>')
            left, right = min(left, end - off), max(right, end + off)
        place, anchor = (right + 5, "start") if value >= 0 else (left - 5, "end")
        label = told(value) + text(unit)
        parts.append(f'<text class="value" x="{place:.1f}" y="{top + 13}" text-anchor="{anchor}">{label}</text>')
    return _drawing(parts, title, height, total)
