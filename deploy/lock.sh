#!/usr/bin/env bash
# Writes requirements/*.lock: every version and every file's hash, no addresses, for all platforms at once.
#
#   lock.sh              keep what the locks name, add and remove as pyproject.toml and *.in ask
#   lock.sh --upgrade    the newest releases that are at least a week old
#
# A week is long enough for most malicious releases to be noticed and withdrawn. An index that reports no upload
# dates needs EXCLUDE_NEWER=none.
set -euo pipefail
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-python3}
. deploy/uv.sh

week_ago=$("$PYTHON" -c 'import datetime as d; print(f"{d.datetime.now(d.UTC) - d.timedelta(days=7):%Y-%m-%dT00:00:00Z}")')
before=${EXCLUDE_NEWER:-$week_ago}
options=(--quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links
         --no-header --no-annotate)
[ "$before" = none ] || options+=(--exclude-newer "$before")
[ "${1-}" != --upgrade ] || options+=(--upgrade)

compile() {
    local lock=requirements/$1.lock
    shift
    echo "$lock" >&2
    uv pip compile "${options[@]}" "$@" --output-file "$lock" >/dev/null
}

compile setup requirements/setup.in
compile dev pyproject.toml --extra coordinator --group dev
# The smaller locks are parts of the large one, so that what is tested is what is installed.
compile coordinator pyproject.toml --extra coordinator --constraint requirements/dev.lock
compile base pyproject.toml --constraint requirements/dev.lock
compile build requirements/build.in --constraint requirements/dev.lock
compile proto requirements/proto.in
