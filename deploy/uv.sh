# Sourced, not run: gives `uv` as the lock pins it, set up to use the package index that pip uses here.
# The caller is at the root of the checkout and has set PYTHON.

setup_environment=.venv-setup
setup_stamp=$setup_environment/.done

# Rebuilt when the pinned uv changes, or when the folder was moved or its interpreter is gone.
if ! cmp -s requirements/setup.lock "$setup_stamp" || ! "$setup_environment/bin/uv" --version >/dev/null 2>&1 \
    || ! "$setup_environment/bin/python" -m pip --version >/dev/null 2>&1; then
    "$PYTHON" -m venv --clear "$setup_environment"
    "$setup_environment/bin/python" -m pip install -qq --disable-pip-version-check --require-hashes \
        --requirement requirements/setup.lock
    cp requirements/setup.lock "$setup_stamp"
fi

# One setting of pip, whichever of its files or variables it comes from; empty when it has none.
pip_setting() {
    local settings place value
    settings=$("$setup_environment/bin/python" -m pip config list 2>/dev/null || true)
    for place in :env: install global; do
        value=$(sed -n "s/^$place\.$1=[\"']\(.*\)[\"']\$/\1/p" <<<"$settings" | sed 's/\\n/ /g')
        [ -z "${value// /}" ] || { echo "$value"; return; }
    done
}

# uv stops at a folder that does not exist, where pip only warns.
existing_sources() {
    local source
    for source in $1; do
        case $source in
            file://*) [ -e "${source#file://}" ] && echo "$source" ;;
            http://* | https://*) echo "$source" ;;
            *) [ -e "$source" ] && echo "$source" ;;
        esac
    done
    return 0
}

use_pips_index() {
    local value
    if [ -z "${UV_INDEX_URL-}${UV_DEFAULT_INDEX-}" ]; then
        value=$(pip_setting index-url)
        [ -z "$value" ] || export UV_DEFAULT_INDEX=$value
    fi
    if [ -z "${SSL_CERT_FILE-}" ]; then
        value=$(pip_setting cert)
        [ -z "$value" ] || export SSL_CERT_FILE=$value
    fi
}

use_pips_other_sources() {
    local value
    if [ -z "${UV_INDEX-}${UV_EXTRA_INDEX_URL-}" ]; then
        value=$(existing_sources "$(pip_setting extra-index-url)" | paste -sd ' ')
        # Otherwise uv takes a package from the first index that knows its name, even without the pinned version.
        [ -z "$value" ] || export UV_INDEX=$value UV_INDEX_STRATEGY=unsafe-best-match
    fi
    if [ -z "${UV_FIND_LINKS-}" ]; then
        value=$(existing_sources "$(pip_setting find-links)" | paste -sd ,)
        [ -z "$value" ] || export UV_FIND_LINKS=$value
    fi
}

# Python comes from the operating system or from whoever runs make; never from a download behind their back.
export UV_PYTHON_DOWNLOADS=never
export UV_HTTP_TIMEOUT=${UV_HTTP_TIMEOUT:-180}
uv_cache=${UV_CACHE_DIR:-${XDG_CACHE_HOME:-${HOME:-/nonexistent}/.cache}}
mkdir -p "$uv_cache" 2>/dev/null && [ -w "$uv_cache" ] || export UV_NO_CACHE=1

uv() { "$setup_environment/bin/uv" "$@"; }

use_pips_index
