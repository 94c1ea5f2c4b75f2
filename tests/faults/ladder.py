"""The kernels' tests on emulated processors, from one without AVX to another architecture.

    make ladder
    python tests/faults/ladder.py --cpus Nehalem Haswell --tests tests/_kernels/test_rows.py

On x86-64 qemu runs the build of this environment with -cpu: the instruction set must be the one that the processor has,
and an instruction past it ends the process with SIGILL. For aarch64 the kernels are cross-compiled, and a Python of
Debian with NumPy, SciPy and scikit-learn of PyPI is laid into build/ladder; nothing is installed. What cannot run says
why at the end.
"""

import argparse
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
import time
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
BUILD = ROOT / "build" / "ladder"
# What each runs; qemu 7.2 was the first to emulate AVX2, and none has AVX-512.
CPUS = {"Nehalem": "baseline", "IvyBridge": "baseline", "Haswell": "avx2", "max": "avx2"}
AARCH64 = "aarch64"
TESTS = [f"tests/_kernels/test_{name}.py" for name in (
    "primitives", "activation_kernels", "penalty_kernels", "update_kernels", "quantiles", "rows", "stacked")]
DEBIAN = [
    "python3.11-minimal", "libpython3.11-minimal", "libpython3.11-stdlib", "python3.11", "libc6", "libgcc-s1",
    "libstdc++6", "libgomp1", "zlib1g", "libexpat1", "libssl3", "libffi8", "libbz2-1.0", "liblzma5", "libsqlite3-0",
    "libuuid1", "libcrypt1",
]
SECONDS = 1500
SHOW = "import fasttrain; print(fasttrain.show_config('dicts')['instruction_set'])"


class LeftOut(Exception):
    """Something that cannot run here; the message says why."""


def have(program, package):
    path = shutil.which(program)
    if path is None:
        raise LeftOut(f"no {program} on the path (Debian: apt-get install {package})")
    return path


def run(command, environment=None, cwd=ROOT):
    done = subprocess.run(command, env=environment, cwd=cwd, capture_output=True, text=True)
    if done.returncode:
        raise LeftOut(f"{' '.join(map(str, command))[:200]} failed: {(done.stderr or done.stdout).strip()[-300:]}")
    return done.stdout


def environment(*paths):
    return os.environ | {
        "PYTHONPATH": os.pathsep.join(map(str, paths)), "OPENBLAS_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}


def x86_64(cpu):
    """(command before Python's arguments, environment) on an emulated x86-64 processor."""
    if platform.machine() != "x86_64":
        raise LeftOut(f"the build at hand is for {platform.machine()}")
    qemu = have("qemu-x86_64", "qemu-user")
    supported = subprocess.run([qemu, "-cpu", "help"], capture_output=True, text=True).stdout
    if not re.search(rf"^x86 {cpu}\b", supported, re.MULTILINE):
        raise LeftOut(f"this qemu-x86_64 has no processor {cpu}")
    # the interpreter itself: qemu is given no link of a virtual environment to follow
    command = [qemu, "-cpu", cpu, os.path.realpath(sys.executable)]
    return command, environment(ROOT / "src", sysconfig.get_path("purelib"))


def aarch64():
    """The same for aarch64."""
    qemu = have("qemu-aarch64", "qemu-user")
    compiler = have("aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu")
    if sys.version_info[:2] != (3, 11):
        raise LeftOut(f"Debian 12's aarch64 Python is 3.11, and the headers at hand are of {platform.python_version()}")
    where, suffix = BUILD / AARCH64, ".cpython-311-aarch64-linux-gnu.so"
    python, site, built = where / "root/usr/bin/python3.11", where / "site", where / "lib"
    if not python.exists():
        foreign_python(where)
    if not (site / "sklearn").exists():
        platforms = [f"--platform=manylinux{version}_aarch64" for version in ("2014", "_2_17", "_2_27", "_2_28")]
        wanted = [f"{name}=={metadata.version(name)}" for name in ("numpy", "scipy", "scikit-learn", "pytest")]
        run([sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "install", f"--target={site}",
             *platforms, "--python-version=3.11", "--only-binary=:all:", *wanted])
    cross = {"CC": compiler, "LDSHARED": f"{compiler} -shared", "SETUPTOOLS_EXT_SUFFIX": suffix}
    build = [sys.executable, "setup.py", "-q", "build", f"--build-base={where}", f"--build-lib={built}"]
    run(build, os.environ | cross)
    return [qemu, "-L", str(where / "root"), str(python)], environment(built, site)


def foreign_python(where):
    """A Python of Debian for aarch64, unpacked; apt's lists are kept beside it, and the system's are left alone."""
    apt, unpack = have("apt-get", "apt"), have("dpkg-deb", "dpkg")
    sources = where / "sources.list"
    for folder in ("lists/partial", "cache/archives/partial", "debs", "root"):
        (where / folder).mkdir(parents=True, exist_ok=True)
    sources.write_text("deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] "
                       "http://deb.debian.org/debian bookworm main\n")
    options = {
        "APT::Architecture": "arm64", "APT::Architectures": "arm64", "Dir::State::Lists": where / "lists",
        "Dir::Cache": where / "cache", "Dir::State::status": "/dev/null", "Dir::Etc::SourceParts": "/nonexistent",
        "Dir::Etc::SourceList": sources, "APT::Sandbox::User": "root",
    }
    given = [part for name, value in options.items() for part in ("-o", f"{name}={value}")]
    run([apt, *given, "update"])
    run([apt, *given, "download", *DEBIAN], cwd=where / "debs")
    for package in (where / "debs").glob("*.deb"):
        run([unpack, "-x", str(package), str(where / "root")])


def climb(name, tests):
    """The line that says how a processor did; raises LeftOut where it did not run."""
    command, settings = aarch64() if name == AARCH64 else x86_64(name)
    started = time.monotonic()
    found = run([*command, "-c", SHOW], settings).strip()
    wanted = CPUS.get(name, "baseline")
    if found != wanted:
        return False, f"{name}: runs {found}, {wanted} was to be chosen"
    pytest = [*command, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests]
    done = subprocess.run(pytest, env=settings, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS)
    last = (done.stdout.strip().splitlines() or ["nothing printed"])[-1]
    if done.returncode:
        print(done.stdout[-3000:], done.stderr[-1000:])
    return done.returncode == 0, f"{name} ({found}): {last}; exit {done.returncode}, {time.monotonic() - started:.0f} s"


def main(arguments=None):
    parser = argparse.ArgumentParser()
    parser.add_argument("--cpus", nargs="*", default=[*CPUS, AARCH64])
    parser.add_argument("--tests", nargs="*", default=TESTS)
    given = parser.parse_args(arguments)
    ran, left_out, bad = [], [], 0
    for name in given.cpus:
        try:
            good, line = climb(name, given.tests)
        except LeftOut as reason:
            left_out.append(f"left out: {name}: {reason}")
            continue
        except subprocess.TimeoutExpired:
            good, line = False, f"{name}: not done in {SECONDS} s"
        bad += not good
        ran.append(line)
        print(line, flush=True)
    left_out.append("left out: AVX-512, which qemu does not emulate; `make check` runs it where the processor has it")
    print("\n".join(left_out))
    print(f"{len(ran)} processors ran {len(given.tests)} files of tests, {bad} failed")
    return 1 if bad or not ran else 0


if __name__ == "__main__":
    sys.exit(main())
