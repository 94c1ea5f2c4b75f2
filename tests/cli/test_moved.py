"""Two runs beside each other: what moved beyond the noise, and what is only noise."""

import json
import runpy
import sys
from pathlib import Path

import pytest

from fasttrain.cli.bench import _results as results

ROOT = Path(__file__).parents[2]


def time(median, spread=0.02):
    return {"median": median, "low": median * (1 - spread / 2), "high": median * (1 + spread / 2), "runs": 9}


def run(**rows):
    return {"machine": {"processor": "one", "load": 0.1}, "commit": "abc", "load": [0.1, 0.1],
            "rows": [{"name": name, "unit": "time", "times": times} for name, times in rows.items()]}


def test_a_change_is_told_from_noise():
    old = run(same={"fasttrain": time(1.0)}, slow={"fasttrain": time(1.0)}, quick={"fasttrain": time(1.0)},
              noisy={"fasttrain": time(1.0, 0.8)}, gone={"fasttrain": time(1.0)})
    new = run(same={"fasttrain": time(1.015)}, slow={"fasttrain": time(1.3)}, quick={"fasttrain": time(0.5)},
              noisy={"fasttrain": time(1.4, 0.8)}, added={"fasttrain": time(1.0)})
    found = results.moved(old, new)
    assert [name for name, _, _ in found] == ["slow", "quick"]
    assert found[0][1] == pytest.approx(1.3)
    assert found[0][2] == pytest.approx(0.02)


def test_the_machines_own_change_is_taken_out():
    old = run(work={"fasttrain": time(1.0), "scikit-learn": time(10.0)})
    assert not results.moved(old, run(work={"fasttrain": time(1.5), "scikit-learn": time(15.0)}))
    (found,) = results.moved(old, run(work={"fasttrain": time(1.0), "scikit-learn": time(5.0)}))
    assert found[1] == pytest.approx(2.0)


def test_the_script_says_what_moved(tmp_path, capsys, monkeypatch):
    files = [tmp_path / "a.json", tmp_path / "b.json"]
    for path, seconds in zip(files, (1.0, 2.0), strict=True):
        path.write_text(json.dumps(run(work={"fasttrain": time(seconds)})))
    monkeypatch.setattr(sys, "argv", ["compare.py", *map(str, files)])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(ROOT / "benchmarks" / "compare.py"), run_name="__main__")
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert "work: 2.00 times as long" in said
    assert "1 of 1 moved" in said
    monkeypatch.setattr(sys, "argv", ["compare.py", str(files[0]), str(tmp_path / "none.json")])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(ROOT / "benchmarks" / "compare.py"), run_name="__main__")
    assert ended.value.code == 2
