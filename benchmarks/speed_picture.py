"""Draws docs/speed.svg, the picture that README opens with, from README's own table of measured figures.

    python benchmarks/speed_picture.py

A bar is a row of the table: how many times as long scikit-learn takes. Figures live in the table and nowhere else.
"""

import re
from html import escape
from pathlib import Path

ROOT = Path(__file__).parent.parent
PICTURE = ROOT / "docs" / "speed.svg"
WIDTH, STEP, NAMES, TOP = 860, 30, 440, 46
STYLE = """
  text { font: 14px system-ui, "Segoe UI", Roboto, Helvetica, Arial, sans-serif; fill: #1c2330; }
  .small { font-size: 12px; fill: #5b6577; } .title { font-weight: 600; font-size: 16px; } rect { fill: #2457d6; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6e9f0; } .small { fill: #9aa4b8; } rect { fill: #7ea6ff; }
  }
"""


def measured(page):
    """[(work, ratio)] of the rows whose first peer is scikit-learn, from the Markdown of the README."""
    found = []
    for line in page.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and len(cells) == 6 and cells[1].startswith("scikit-learn"):
            # code marks, and what is the same in all rows or only for experts
            common = r", (?:a sample(?: of one)?|a step|1 thread|20 epochs|30 epochs)\b"
            work = re.sub(common, "", cells[0].replace("`", ""))
            if not work.startswith("the same"):
                found.append((work.removesuffix(", n_jobs=2"), float(cells[4].split("/")[0])))
    return found


def drawing(rows):
    """The picture as SVG."""
    reach = max(ratio for _, ratio in rows)
    room = WIDTH - NAMES - 70
    height = TOP + STEP * len(rows) + 30
    parts = ['<text class="title" x="10" y="26">Times as long as fasttrain that scikit-learn takes</text>']
    for number, (work, ratio) in enumerate(rows):
        top = TOP + STEP * number
        length = room * ratio / reach
        parts.append(f'<text x="{NAMES - 10}" y="{top + 15}" text-anchor="end" class="small">{escape(work)}</text>')
        parts.append(f'<rect x="{NAMES}" y="{top}" width="{length:.1f}" height="{STEP - 10}" rx="3"/>')
        parts.append(f'<text x="{NAMES + length + 8:.1f}" y="{top + 15}">{ratio:g}×</text>')
    note = "Two Zen 5 cores of an AMD EPYC, medians, both in turn within one run; README has the table."
    parts.append(f'<text class="small" x="10" y="{height - 10}">{note}</text>')
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'role="img" aria-label="Measured speed">\n<style>{STYLE}</style>\n{body}\n</svg>\n'
    )


if __name__ == "__main__":
    PICTURE.write_text(drawing(measured((ROOT / "README.md").read_text())))
    print(PICTURE)
