#!/bin/sh
# A command whose temporary files are in memory: tests save a few thousand models, and each save waits for the disk.
# They are where they always are on a system that has little room there, or runs no programs from it.
#
#     tests/in_memory.sh python -m pytest
memory=/dev/shm
enough=4000000  # kB

free=$(df -Pk "$memory" 2>/dev/null | awk 'NR == 2 { print $4 }')
scratch=$([ "${free:-0}" -gt "$enough" ] && mktemp -d -p "$memory" fasttrain-XXXXXX)
if [ -n "$scratch" ]; then
    trap 'rm -rf "$scratch"' EXIT
    trap 'exit 130' INT TERM
    # libraries are compiled there, and loaded
    if cp "$(command -v env)" "$scratch/env" && "$scratch/env" true 2>/dev/null; then
        export TMPDIR="$scratch"
    fi
fi
"$@"
