"""Builds the kernels: one extension for each module of ``src/fasttrain/_kernels``, and one that they share.

Environment variables read at build time
----------------------------------------
FASTTRAIN_DEBUG=1      bounds checks, no optimisation, symbols
FASTTRAIN_NO_OPENMP=1  build on one thread even where the compiler has OpenMP
FASTTRAIN_SANITIZE=1   address and undefined-behaviour sanitizers of gcc or clang; ``make sanitize`` runs such a build
FASTTRAIN_FREE_THREADING=1
                       declare the modules ready for an interpreter without the GIL, which else takes it back
FASTTRAIN_SANITIZE=thread
                       the thread sanitizer of clang; ``make tsan`` runs such a build

The kernels are written on the vector types of gcc and clang. On Windows clang-cl compiles them, in the place of MSVC.
"""

import os
import shutil
import tempfile
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

KERNELS = Path("src/fasttrain/_kernels")
CSRC = KERNELS / "csrc"
# Cython's own runtime, memoryviews above all, which would otherwise be compiled and loaded again with every module.
SHARED = "fasttrain._kernels._cyutility"
DEBUG = os.environ.get("FASTTRAIN_DEBUG", "0") not in ("", "0")
FREE_THREADING = os.environ.get("FASTTRAIN_FREE_THREADING", "0") not in ("", "0")
SANITIZE = os.environ.get("FASTTRAIN_SANITIZE", "0")
SANITIZERS = {
    "": [],
    "0": [],
    "1": ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"],
    "thread": ["-fsanitize=thread"],
}[SANITIZE]
WINDOWS = os.name == "nt"
JOBS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

# Only what cannot be seen from outside this library: no errno from sqrt, no trap on a comparison that the
# vectorizer moves. Nothing here reorders arithmetic or touches the floating-point state of the process.
OPTIMIZE = ["-O3", "-fno-math-errno", "-fno-trapping-math"]
if DEBUG:
    COMPILE_ARGS = ["-std=gnu11", "-O0", "-g"]
elif SANITIZERS:
    COMPILE_ARGS = ["-std=gnu11", "-O1", *OPTIMIZE[1:], "-g", "-fno-omit-frame-pointer"]
else:
    COMPILE_ARGS = ["-std=gnu11", *OPTIMIZE, "-g0"]
COMPILE_ARGS += SANITIZERS
LINK_ARGS = list(SANITIZERS)
# A product and a sum that become one instruction round once: NumPy's answers do not, and a processor whose baseline has
# that instruction (aarch64) would give others. The isa files ask for it where they want it.
TWO_ROUNDINGS = ["-ffp-contract=off"]
if WINDOWS:
    COMPILE_ARGS = [f"/clang:{flag}" for flag in COMPILE_ARGS]
    TWO_ROUNDINGS = [f"/clang:{flag}" for flag in TWO_ROUNDINGS]

# What to compile and to link with: gcc and clang; Apple's clang with libomp beside it; clang-cl.
OPENMP_FLAGS = [
    (["-fopenmp"], ["-fopenmp"]),
    (["-Xpreprocessor", "-fopenmp"], ["-lomp"]),
]
if WINDOWS:
    OPENMP_FLAGS = [(["/openmp"], ["libomp.lib"])]

OPENMP_PROGRAM = "#include <omp.h>\nint main(void) { return omp_get_max_threads() < 1; }\n"


DIRECTIVES = {
    "language_level": "3",
    "embedsignature": True,
    "boundscheck": DEBUG,
    "wraparound": DEBUG,
    "initializedcheck": DEBUG,
    "cdivision": True,
    "freethreading_compatible": FREE_THREADING,
}


class BuildKernels(build_ext):
    """build_ext that translates the kernels to C, in one go, and adds OpenMP where the compiler has it."""

    def build_extensions(self):
        # here, not at setup(): making an sdist, or asking what a build requires, translates nothing
        # module_name is read for the shared module alone, which would also enter itself in sys.modules as _cyutility
        translated = cythonize(
            self.extensions, nthreads=JOBS, include_path=["src"], compiler_directives=DIRECTIVES, force=self.force,
            shared_utility_qualified_name=SHARED, module_name=SHARED)
        sources = {extension.name: extension.sources for extension in translated}
        for extension in self.extensions:
            extension.sources = sources[extension.name]
        if self.compiler.compiler_type == "msvc":
            if not self.compiler.initialized:
                self.compiler.initialize()
            self.compiler.cc = shutil.which("clang-cl") or "clang-cl"
        flags = self.openmp_flags()
        if flags is None:
            self.announce("no OpenMP: the kernels will run on one thread", level=3)
        else:
            for extension in self.extensions:
                extension.extra_compile_args += flags[0]
                extension.extra_link_args += flags[1]
        super().build_extensions()

    def openmp_flags(self):
        """The first of OPENMP_FLAGS that compiles and links, or None."""
        if os.environ.get("FASTTRAIN_NO_OPENMP", "0") not in ("", "0"):
            return None
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder, "openmp.c")
            source.write_text(OPENMP_PROGRAM)
            for compile_flags, link_flags in OPENMP_FLAGS:
                try:
                    objects = self.compiler.compile([str(source)], output_dir=folder, extra_postargs=compile_flags)
                    self.compiler.link_executable(objects, str(Path(folder, "openmp")), extra_postargs=link_flags)
                except Exception:
                    continue
                return compile_flags, link_flags
        return None


def kernel_extensions():
    headers = sorted(str(path) for path in CSRC.glob("*.h"))
    extensions = [
        Extension(
            SHARED,
            [str(KERNELS / "_cyutility.c")],
            extra_compile_args=list(COMPILE_ARGS),
            extra_link_args=list(LINK_ARGS),
        )
    ]
    for source in sorted(KERNELS.glob("*.pyx")):
        name = source.stem
        # The instruction-set files and the thread plumbing are linked once; other modules reach them by cimport.
        own = {
            "primitives": ["dispatch.c", "isa_baseline.c", "isa_avx2.c", "isa_avx512.c"],
            "threads": ["threads.c"],
            "coordinate": ["coordinate.c", *(f"isa_coordinate_{isa}.c" for isa in ("baseline", "avx2", "avx512"))],
            "gram": ["gram.c", *(f"isa_gram_{isa}.c" for isa in ("baseline", "avx2", "avx512"))],
            "sgd": ["sgd.c", "isa_sgd_baseline.c", "isa_sgd_avx2.c", "isa_sgd_avx512.c"],
        }.get(name, [])
        extensions.append(
            Extension(
                f"fasttrain._kernels.{name}",
                [str(source), *(str(CSRC / file) for file in own)],
                include_dirs=[str(CSRC)],
                depends=headers,
                extra_compile_args=COMPILE_ARGS + ([] if own else TWO_ROUNDINGS),
                extra_link_args=list(LINK_ARGS),
                libraries=["m"] if os.name == "posix" else [],
            )
        )
    return extensions


setup(
    ext_modules=kernel_extensions(),
    cmdclass={"build_ext": BuildKernels},
    options={"build_ext": {"parallel": JOBS}},
)
