"""One HTML file that needs nothing else: no network, no script; light or dark as the reader's system is."""

from html import escape

from fasttrain.cli._screen import printable

STYLE = """\
:root { color-scheme: light dark; --ink: #1c2330; --soft: #5b6577; --paper: #f4f5f8; --card: #ffffff; --line: #d9dde5;
  --first: #2457d6; --second: #c2560c; --third: #15803d; --code: #eef0f5; --warn: #9a3412; --warnback: #fff1e6; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9f0; --soft: #9aa4b8; --paper: #11151d; --card: #1a202c;
  --line: #323b4c; --first: #7ea6ff; --second: #f0a05a; --third: #6fcf97; --code: #10141c; --warn: #ffc9a3;
  --warnback: #3a2413; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, "Segoe UI", Roboto, sans-serif; }
main { max-width: 1120px; margin: 0 auto; padding: 24px 16px 48px; }
h1 { font-size: 26px; margin: 0 0 4px; overflow-wrap: anywhere; } h2 { font-size: 17px; margin: 0 0 10px; }
.lead { color: var(--soft); margin: 0 0 18px; overflow-wrap: anywhere; }
.grid { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 430px), 1fr)); gap: 16px; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 16px 18px;
  min-width: 0; }
section.wide { grid-column: 1 / -1; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: 4px 8px; border-bottom: 1px solid var(--line); vertical-align: top; }
th { color: var(--soft); font-weight: 600; } th, td { white-space: nowrap; } tr:last-child td { border-bottom: 0; }
th.text, td.text { text-align: left; white-space: normal; overflow-wrap: break-word; max-width: 420px; }
td.best { font-weight: 700; }
table.confusion { width: auto; } table.confusion td, table.confusion th { border: 0; }
table.confusion td { text-align: center; min-width: 46px; border-radius: 4px; }
table.confusion th { max-width: 130px; white-space: normal; overflow-wrap: anywhere; vertical-align: bottom; }
p { margin: 8px 0; } .note { color: var(--soft); font-size: 13.5px; overflow-wrap: anywhere; }
.warning { background: var(--warnback); color: var(--warn); border-radius: 8px; padding: 10px 14px; margin: 0 0 16px; }
pre { background: var(--code); border-radius: 8px; padding: 12px; overflow-x: auto; font-size: 13px; line-height: 1.45;
  margin: 8px 0; }
code { font-family: ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; }
svg { width: 100%; height: auto; display: block; }
svg text { fill: var(--soft); font: 12px system-ui, "Segoe UI", Roboto, sans-serif; }
svg .axis { stroke: var(--line); } svg .zero { stroke: var(--soft); stroke-dasharray: 4 4; }
svg .c0 { stroke: var(--first); } svg .c1 { stroke: var(--second); } svg .c2 { stroke: var(--third); }
svg .line { fill: none; stroke-width: 2; stroke-linejoin: round; } svg .dot { stroke: none; fill: var(--first); }
svg .cloud { stroke: none; fill: var(--first); fill-opacity: .45; }
svg .f0 { fill: var(--first); } svg .f1 { fill: var(--second); } svg .f2 { fill: var(--third); }
svg text.value, svg text.name { fill: var(--ink); }
.big { display: flex; flex-wrap: wrap; gap: 10px 34px; margin: 0 0 6px; }
.big div { min-width: 90px; }
.big b { display: block; font-size: 24px; line-height: 1.2; } .big span { color: var(--soft); }
"""


def text(value):
    """A value as text that HTML takes as nothing but text."""
    return escape(printable(value), quote=True)


def page(title, lead, sections):
    """A whole document.

    Parameters
    ----------
    title, lead : str
        Plain text.
    sections : list of str
        From :func:`section`, or other HTML; None is left out.
    """
    body = "\n".join(part for part in sections if part)
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; style-src \'unsafe-inline\'">\n'
        f"<title>{text(title)}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{text(title)}</h1>\n"
        f'<p class="lead">{text(lead)}</p>\n{body}\n</main>\n</body>\n</html>\n'
    )


def grid(sections):
    """Sections side by side where there is room."""
    body = "\n".join(part for part in sections if part)
    return f'<div class="grid">\n{body}\n</div>'


def section(title, body, wide=False):
    """A card; ``body`` is HTML."""
    return f'<section{" class=wide" if wide else ""}>\n<h2>{text(title)}</h2>\n{body}\n</section>'


def note(words):
    """A line of small print."""
    return f'<p class="note">{text(words)}</p>'


def warning(words):
    """A line that nobody overlooks."""
    return f'<p class="warning">{text(words)}</p>'


def code(words):
    """Lines to be copied."""
    return f"<pre><code>{escape(words)}</code></pre>"


def figures(entries):
    """[(number, what it is)] in large letters."""
    return '<div class="big">' + "".join(
        f"<div><b>{text(value)}</b><span>{text(what)}</span></div>" for value, what in entries
    ) + "</div>"


def table(headings, rows, left=1, best=()):
    """A table whose first ``left`` columns are text; ``best`` holds (row, column) that stand out."""

    def cells(kind, row, at=None):
        parts = []
        for i, cell in enumerate(row):
            classes = " ".join(["text"] * (i < left) + ["best"] * ((at, i) in best))
            parts.append(f"<{kind}{f' class={chr(34)}{classes}{chr(34)}' if classes else ''}>{text(cell)}</{kind}>")
        return "<tr>" + "".join(parts) + "</tr>"

    lines = [cells("th", headings), *(cells("td", row, at) for at, row in enumerate(rows))]
    return '<div class="scroll"><table>\n' + "\n".join(lines) + "\n</table></div>"


def confusion(labels, counts):
    """Counts with the true class in rows, shaded by their share of the row."""
    head = "<tr><th></th>" + "".join(f"<th>{text(label)}</th>" for label in labels) + "</tr>"
    lines = []
    for label, row in zip(labels, counts):
        total = max(1, int(row.sum()))
        cells = "".join(
            f'<td style="background: rgba(80, 130, 255, {0.7 * int(count) / total:.3f})">{int(count)}</td>'
            for count in row
        )
        lines.append(f"<tr><th>{text(label)}</th>{cells}</tr>")
    return f'<div class="scroll"><table class="confusion">\n{head}\n' + "\n".join(lines) + "\n</table></div>"
