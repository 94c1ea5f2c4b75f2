"""Builds the kernels: one extension for each module of ``src/fasttrain/_kernels``.

Environment variables read at build time
----------------------------------------
FASTTRAIN_DEBUG=1      bounds checks, no optimisation, symbols
FASTTRAIN_NO_OPENMP=1  build on one thread even where the compiler has OpenMP
"""

import os
import tempfile
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

KERNELS = Path("src/fasttrain/_kernels")
CSRC = KERNELS / "csrc"
DEBUG = os.environ.get("FASTTRAIN_DEBUG", "0") not in ("", "0")
JOBS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

# Only what cannot be seen from outside this library: no errno from sqrt, no trap on a comparison that the
# vectorizer moves. Nothing here reorders arithmetic or touches the floating-point state of the process.
OPTIMIZE = ["-O3", "-fno-math-errno", "-fno-trapping-math"]
COMPILE_ARGS = ["-std=gnu11", *(["-O0", "-g"] if DEBUG else [*OPTIMIZE, "-g0"])]

OPENMP_PROGRAM = "#include <omp.h>\nint main(void) { return omp_get_max_threads() < 1; }\n"


class BuildKernels(build_ext):
    """build_ext that adds OpenMP where the compiler has it."""

    def build_extensions(self):
        if self.has_openmp():
            for extension in self.extensions:
                extension.extra_compile_args.append("-fopenmp")
                extension.extra_link_args.append("-fopenmp")
        else:
            self.announce("no OpenMP: the kernels will run on one thread", level=3)
        super().build_extensions()

    def has_openmp(self):
        if os.environ.get("FASTTRAIN_NO_OPENMP", "0") not in ("", "0"):
            return False
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder, "openmp.c")
            source.write_text(OPENMP_PROGRAM)
            try:
                objects = self.compiler.compile([str(source)], output_dir=folder, extra_postargs=["-fopenmp"])
                self.compiler.link_executable(objects, str(Path(folder, "openmp")), extra_postargs=["-fopenmp"])
            except Exception:
                return False
        return True


def kernel_extensions():
    headers = sorted(str(path) for path in CSRC.glob("*.h"))
    extensions = []
    for source in sorted(KERNELS.glob("*.pyx")):
        name = source.stem
        # The instruction-set files and the thread plumbing are linked once; other modules reach them by cimport.
        own = {
            "primitives": ["dispatch.c", "isa_baseline.c", "isa_avx2.c", "isa_avx512.c"],
            "threads": ["threads.c"],
            "sgd": ["sgd.c", "isa_sgd_baseline.c", "isa_sgd_avx2.c", "isa_sgd_avx512.c"],
        }.get(name, [])
        extensions.append(
            Extension(
                f"fasttrain._kernels.{name}",
                [str(source), *(str(CSRC / file) for file in own)],
                include_dirs=[str(CSRC)],
                depends=headers,
                extra_compile_args=list(COMPILE_ARGS),
                libraries=["m"] if os.name == "posix" else [],
            )
        )
    return extensions


DIRECTIVES = {
    "language_level": "3",
    "embedsignature": True,
    "boundscheck": DEBUG,
    "wraparound": DEBUG,
    "initializedcheck": DEBUG,
    "cdivision": True,
    "freethreading_compatible": False,
}

setup(
    ext_modules=cythonize(
        kernel_extensions(), nthreads=JOBS, include_path=["src"], compiler_directives=DIRECTIVES
    ),
    cmdclass={"build_ext": BuildKernels},
    options={"build_ext": {"parallel": JOBS}},
)
