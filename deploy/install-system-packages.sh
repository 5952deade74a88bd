#!/bin/sh
# Finds what the pool needs from the operating system and installs what is missing where it may.
# It never asks a question: without the right to install, it prints the one line to run and ends with 1.
#
#   install-system-packages.sh             what running and developing need
#   install-system-packages.sh --browser   Chromium too, for tests/browser; going without is only reported
set -eu

# A root shell started by a service or by su often lacks the sbin folders, which dpkg needs.
PATH=${PATH:-/usr/bin:/bin}:/usr/local/sbin:/usr/sbin:/sbin
export PATH
PYTHON=${PYTHON:-python3}

browser=no
case ${1-} in
    '') ;;
    --browser) browser=yes ;;
    *) echo "usage: $0 [--browser]" >&2; exit 2 ;;
esac

have() { command -v "$1" >/dev/null 2>&1; }

have_browser() { have chromium || have chromium-browser || have google-chrome; }

# The names of the Debian packages that are missing, on one line.
missing() {
    names=
    have "$PYTHON" || names="$names python3"
    # Debian splits ensurepip from python3; without it `python3 -m venv` fails half way.
    "$PYTHON" -c 'import ensurepip, venv' >/dev/null 2>&1 || names="$names python3-venv"
    have bwrap || names="$names bubblewrap"
    have git || names="$names git"
    have ssh-keygen || names="$names openssh-client"
    have prlimit && have setpriv && have unshare || names="$names util-linux"
    if [ "$browser" = yes ] && ! have_browser; then names="$names chromium"; fi
    echo "${names# }"
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

may_install() {
    have apt-get || return 1
    [ "$(id -u)" = 0 ] || { have sudo && sudo -n true >/dev/null 2>&1; }
}

apt_install() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Acquire::Retries=3 -o DPkg::Lock::Timeout=120 \
        install --yes --no-install-recommends "$@" </dev/null >/dev/null
}

# $1: package names. The package lists are refreshed only if the ones on this machine were not enough.
install_packages() {
    echo "Installing from the operating system: $1" >&2
    # shellcheck disable=SC2086  # one word for each package
    apt_install $1 && return 0
    as_root apt-get -qq -o Acquire::Retries=3 update </dev/null >/dev/null || true
    # shellcheck disable=SC2086
    apt_install $1
}

explain() {
    if ! have apt-get; then
        echo "Missing from the operating system (Debian's names): $1. Install them, then run make again." >&2
    elif [ "$(id -u)" = 0 ]; then
        echo "Could not install: $1. Run this, then make again:  apt-get update && apt-get install -y $1" >&2
    else
        echo "Missing: $1. Run this, then make again:  sudo apt-get update && sudo apt-get install -y $1" >&2
    fi
}

wanted_browser=$browser
browser=no
needed=$(missing)
if [ -n "$needed" ]; then
    if may_install; then install_packages "$needed" || true; fi
    needed=$(missing)
    if [ -n "$needed" ]; then explain "$needed"; exit 1; fi
fi

if [ "$wanted_browser" = yes ] && ! have_browser; then
    if may_install; then install_packages chromium || true; fi
    have_browser || { echo "Going on without a browser; tests/browser will be skipped." >&2; explain chromium; }
fi
