#!/bin/sh
# The kernels' tests and fits on several threads under the thread sanitizer, on a build of clang's with LLVM's OpenMP,
# whose tool archer tells the sanitizer what orders two threads. Run by `make tsan`, with the interpreter as argument.
set -eu
python=$1
shift

left_out() {
    echo "left out: the thread sanitizer: $1"
    exit "${TSAN_REQUIRED:-0}"
}

[ "$(uname -s)" = Linux ] || left_out "a build of Linux is what this runs"
clang=$(command -v clang) || left_out "no clang on the path (Debian: apt-get install clang libomp-dev)"
command -v setarch > /dev/null || left_out "no setarch, which fixes the addresses that the sanitizer counts on"
archer=$("$clang" -print-file-name=libarcher.so)
[ -e "$archer" ] || archer=$(find /usr/lib/llvm-*/lib -name libarcher.so 2> /dev/null | tail -n 1)
[ -n "$archer" ] || left_out "no libarcher.so (Debian: apt-get install libomp-dev)"

build=build/tsan
mkdir -p "$build"
CC=clang FASTTRAIN_SANITIZE=thread "$python" setup.py -q build --build-base "$build" --build-lib "$build/lib" 2> "$build/log" ||
    { tail -n 20 "$build/log"; exit 1; }
set_of() { "$python" -c "import sysconfig; print(sysconfig.$1)"; }
library=$(set_of "get_config_var('LIBDIR')")
clang -fsanitize=thread -g -I"$(set_of "get_path('include')")" tests/faults/tsan_python.c -o "$build/python" -L"$library" \
    -Wl,-rpath,"$library" -Wl,--export-dynamic -lpython"$(set_of "get_config_var('LDVERSION')")" \
    -ldl -lm -lutil || left_out "no library of this Python to link with in $library"
clang -fsanitize=thread -fopenmp -O0 -g -shared -fPIC tests/faults/race.c -o "$build/race.so"

# What is not instrumented, NumPy and the interpreter, is not judged.
watched() {
    LD_LIBRARY_PATH=$(dirname "$archer") OMP_TOOL_LIBRARIES=$archer OPENBLAS_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE=1 \
        TSAN_OPTIONS="ignore_noninstrumented_modules=1 exitcode=66 report_thread_leaks=0" \
        PYTHONPATH="$PWD/$build/lib:$(set_of "get_path('purelib')")" setarch -R "$build/python" "$@"
}

if watched tests/faults/tsan.py race "$build/race.so" > "$build/race.log" 2>&1 || ! grep -q "data race" "$build/race.log"; then
    echo "the planted race of race.c was not seen"
    exit 1
fi
echo "the planted race is seen"
watched tests/faults/tsan.py
watched -m pytest tests/_kernels -q -p no:cacheprovider "$@"
echo "ran: the kernels' tests and tests/faults/tsan.py, no race; left out: the rest of the suite, whose work is NumPy's or"
echo "serial, and code that is not instrumented: NumPy, SciPy, the interpreter"
