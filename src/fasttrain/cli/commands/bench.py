"""Measure fasttrain and installed peers on this machine, or a script of yours with and without the patch."""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from fasttrain.cli import _options, _screen
from fasttrain.cli._parser import integer, path

NEEDED = ()


def add_options(parser):
    """The command's options."""
    parser.add_argument("--quick", action="store_true", help="a tenth of the rows: under a minute instead of some five")
    parser.add_argument("--peers", action="store_true",
                        help="beside scikit-learn, PyTorch, JAX, pandas and polars where they are installed")
    parser.add_argument("--out", type=path, metavar="FILE",
                        help="a page of the results; a .json of the same name is put beside it")
    parser.add_argument("--compare", type=path, nargs="+", metavar="JSON",
                        help="an earlier run's, or another machine's, .json to stand beside this run; with two files "
                             "nothing is measured")
    parser.add_argument("--script", nargs=argparse.REMAINDER, metavar="SCRIPT",
                        help="run this Python script, with the arguments that follow it, stock and patched in turn")
    parser.add_argument("--rounds", type=integer, default=3, metavar="N", help="for --script: runs of each (default 3)")


def run(options, interrupts):
    """Do it."""
    if options.script is not None:
        _script(options, interrupts)
        return
    if options.compare is not None and len(options.compare) > 2:
        raise ValueError(f"--compare takes one or two files, got {len(options.compare)}")
    if options.out is not None:
        _options.require_file(options.out)
        if options.out.suffix.lower() == ".json":
            raise ValueError("--out is the page; give it another ending than .json, which is put beside it")
    from fasttrain.cli.bench import _results as results

    given = [results.load_results(one) for one in options.compare or ()]
    found = given.pop() if len(given) == 2 else _measured(options, interrupts)
    old = given[0] if given else None
    _show(found, old, results)
    if options.out is not None:
        from fasttrain._files.atomic import write_file

        beside = options.out.with_suffix(".json")
        write_file(beside, json.dumps(found, indent=1).encode() + b"\n")
        write_file(options.out, results.report(found, old).encode())
        print(f"Written to {options.out}, {beside}")


def _measured(options, interrupts):
    """The results of a process of its own, whose BLAS is free to take its best kernels."""
    from fasttrain.cli.bench._scripts import clean_environment

    with tempfile.TemporaryDirectory() as folder, _screen.progress() as bar:
        out = Path(folder, "results.json")
        words = [*(["quick"] if options.quick else []), *(["peers"] if options.peers else [])]
        child = subprocess.Popen(
            [sys.executable, "-m", "fasttrain.cli.bench._child", str(out), *words], env=clean_environment(),
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            for line in child.stdout:
                done, total, name = line.rstrip("\n").split(" ", 2)
                bar.update(int(done), int(total), name)
            code = child.wait()
        finally:
            child.kill()
            child.wait()
        interrupts.check()
        if code:
            raise ValueError(f"the measuring process ended with exit code {code}")
        return json.loads(out.read_text())


def _show(found, old, results):
    machine = found["machine"]
    print(f"{machine['processor']} ({machine['processor family']})" if "processor family" in machine
          else machine["processor"])
    print(f"{machine['threads']} threads, {machine['instruction set']}; BLAS {machine['BLAS']}")
    print(results.told_load(found))
    if old is None:
        for name, time, spread, ratios in results.lines_of(found):
            print(f"{name}\n    {time} (±{spread}); {ratios}")
        return
    differ = [f"{k}: {v} -> {machine[k]}" for k, v in old["machine"].items() if k in machine and machine[k] != v]
    for line in differ:
        print(line)
    for name, then, now, faster, *ratios in results.compared(old, found):
        against = f"; its peer takes {ratios[0]} as long then, {ratios[1]} now" if all(ratios) else ""
        print(f"{name}\n    {then} then, {now} now: {faster}{against}")


def _script(options, interrupts):
    if not options.script:
        raise ValueError("--script needs a Python script")
    if options.rounds < 1:
        raise ValueError(f"--rounds must be 1 or more, got {options.rounds}")
    script, *arguments = options.script
    if not Path(script).is_file():
        raise ValueError(f"{script} is no file; --script needs a Python script")
    from fasttrain.cli.bench import _scripts as scripts

    with _screen.progress() as bar:
        found = scripts.compare(script, arguments, options.rounds, scripts.clean_environment(), bar.update)
    interrupts.check()
    stock, patched = statistics.median(found.stock), statistics.median(found.patched)
    for what, times in (("stock", found.stock), ("patched", found.patched)):
        print(f"{what:8} {_screen.seconds_of(statistics.median(times))}, from {_screen.seconds_of(min(times))} to "
              f"{_screen.seconds_of(max(times))} in {len(times)} runs")
    print(f"{'gain':8} {stock / patched:.2f}x, Python's start and imports included")
    if found.difference is None:
        print("Both print the same.")
    else:
        a, b = (_screen.shortened(line, 60) for line in found.difference)
        print(f"They print different lines, first: {a!r} (stock), {b!r} (patched)")
    if found.served:
        print("Calls that scikit-learn served under the patch:")
        for line, count in found.served.most_common():
            print(f"  {count} x {_screen.shortened(line, 160)}")
    else:
        print("No call went to scikit-learn under the patch.")
