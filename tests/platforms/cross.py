"""Compiles the kernels' C files for the machines that wheels are made for, from any one of them.

    make cross
    python tests/platforms/cross.py --targets aarch64-macos

Zig's clang (``ziglang`` of PyPI) brings the headers of each C library with it. Nothing is linked or run: what must not
be there is a warning, a header that a platform lacks, an instruction set that it has not.
"""

import argparse
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

CSRC = Path(__file__).parents[2] / "src" / "fasttrain" / "_kernels" / "csrc"
TARGETS = ("x86_64-linux-musl", "aarch64-linux-gnu", "aarch64-linux-musl", "aarch64-macos", "x86_64-windows-gnu")
FLAGS = ["-std=gnu11", "-O3", "-fno-math-errno", "-fno-trapping-math", "-Wall", "-Wextra", "-Werror",
         "-Wno-unknown-pragmas"]  # GCC ivdep, which is for gcc
# Mach-O and PE want code that can be anywhere; ELF is told so.
POSITION_INDEPENDENT = {"linux": ["-fPIC"]}


def compiled(target, source, folder):
    """What the compiler says of a file, or nothing."""
    system = target.split("-")[1]
    command = [sys.executable, "-m", "ziglang", "cc", "-target", target, *FLAGS, *POSITION_INDEPENDENT.get(system, []),
               "-c", str(source), "-o", str(Path(folder, f"{target}-{source.stem}.o"))]
    done = subprocess.run(command, capture_output=True, text=True)
    return f"{target} {source.name}\n{done.stdout}{done.stderr}" if done.returncode or done.stderr else ""


def main(arguments=None):
    parser = argparse.ArgumentParser()
    parser.add_argument("--targets", nargs="*", default=TARGETS)
    parser.add_argument("--jobs", type=int, default=2)
    given = parser.parse_args(arguments)
    sources = sorted(CSRC.glob("*.c"))
    assert sources
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(given.jobs) as pool:
        said = [each for each in pool.map(lambda pair: compiled(*pair, folder),
                                          [(target, source) for target in given.targets for source in sources]) if each]
    print("\n".join(said) or f"{len(sources)} files compile without a warning for {', '.join(given.targets)}")
    return 1 if said else 0


if __name__ == "__main__":
    sys.exit(main())
