#!/usr/bin/env bash
# Fills a virtual environment with exactly what one lock file names, every file checked against its hash.
#
#   make-environment.sh DIRECTORY LOCKFILE [--project]     --project: also this checkout itself, editable
#
# uv does the work. pip fetches uv, once, into .venv-setup, hash-pinned by requirements/setup.lock.
set -euo pipefail
cd "$(dirname "$0")/.."

target=${1:?directory}
lock=${2:?lock file}
project=${3-}
PYTHON=${PYTHON:-python3}

fail() { echo "$1" >&2; exit 1; }

"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || fail \
    "$PYTHON is $("$PYTHON" --version 2>&1); Python 3.11 or newer is needed. Install it, then: make setup PYTHON=python3.11"

. deploy/uv.sh

# The stamp holds the folder that an environment was made in, because one that was moved or copied is broken: its
# commands begin with the path of an interpreter. make compares the stamp's age with the lock's.
stamp=$target/.made-in
made_in=$(cat "$stamp" 2>/dev/null || pwd)
[ "$made_in" = "$(pwd)" ] && "$target/bin/python" -c '' 2>/dev/null \
    || "$PYTHON" -m venv --clear --without-pip "$target"
rm -f "$stamp"

sync_environment() { uv pip sync --quiet --compile-bytecode --require-hashes --python "$target/bin/python" "$lock"; }

# pip may be set up to look in more places than one (a company's index, a folder of wheels). They are a second
# resort: the lock's hashes decide what may be installed, wherever it comes from.
sync_environment || { use_pips_other_sources; sync_environment; } || fail \
    "Could not install $lock. Check the connection to your package index (pip config list), then run make again."

if [ "$project" = --project ]; then
    # hatchling comes from the lock, so that building the link to this checkout fetches nothing.
    uv pip install --quiet --no-deps --no-build-isolation --python "$target/bin/python" --editable .
fi

pwd >"$stamp"
