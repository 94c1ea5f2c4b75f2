"""What moved between two runs of ``make bench`` or ``fasttrain bench``, beyond their noise.

    python benchmarks/compare.py benchmarks/results/run-A.json benchmarks/results/run-B.json
"""

import argparse
import sys

from fasttrain.cli.bench._results import load_results, moved


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("old")
    parser.add_argument("new")
    given = parser.parse_args(arguments)
    try:
        old, new = load_results(given.old), load_results(given.new)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    for name, value in old["machine"].items():
        if name != "load" and new["machine"].get(name) != value:
            print(f"{name}: {value} -> {new['machine'].get(name)}")
    print(f"commit: {old.get('commit')} -> {new.get('commit')}")
    found = moved(old, new)
    for name, change, noise in found:
        what = f"{change:.2f} times as long" if change > 1 else f"{1 / change:.2f} times as fast"
        print(f"{name}: {what} (noise {noise:.0%})")
    both = {row["name"] for row in old["rows"]} & {row["name"] for row in new["rows"]}
    print(f"{len(found)} of {len(both)} moved beyond the noise")
    return 0


if __name__ == "__main__":
    sys.exit(main())
