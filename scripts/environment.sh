#!/bin/sh
# Usage: scripts/environment.sh runtime|dev
#
# Makes .venv from requirements/runtime.txt or requirements/dev.txt (every file checked against its hash) and puts
# the project into it. Does nothing where that has been done: a stamp in .venv names what it was made from.
# PYTHON says which Python to use (default python3).
set -eu
cd "$(dirname "$0")/.."
. scripts/apt.sh

kind=$1
python=${PYTHON:-python3}
requirements=requirements/$kind.txt

# What the environment depends on: the lock, the Python asked for, and the place of the checkout, for it cannot be
# moved. The tools' settings, at the end of pyproject.toml, are no part of it.
fingerprint() {
    { pwd; echo "$python"; sed '/^\[tool\./,$d' pyproject.toml; cat "$1"; } | cksum
}

made() {
    [ -x .venv/bin/python ] || return 1
    [ "$(cat ".venv/made-from-$kind" 2>/dev/null)" = "$(fingerprint "$requirements")" ]
}

check_python() {
    if ! command -v "$python" >/dev/null 2>&1; then
        echo "There is no $python here. Kilonova needs Python 3.11 or newer: apt-get install python3 python3-venv," >&2
        echo "or name another one: make PYTHON=/path/to/python3.12 ..." >&2
        exit 1
    fi
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
        echo "Kilonova needs Python 3.11 or newer, and $python is $version." >&2
        echo "Name a newer one: make PYTHON=/path/to/python3.12 ..." >&2
        exit 1
    fi
}

# Debian and Ubuntu keep the part of Python that makes environments in a package of its own.
check_venv() {
    "$python" -c 'import ensurepip, venv' 2>/dev/null && return
    package=python$version-venv
    if may_install; then
        echo "Python's venv module is missing: installing Debian's package $package ..."
        apt_install "$package"
    else
        echo "Python's venv module is missing. Install it, and run make again:" >&2
        echo "    sudo apt-get install $package" >&2
        exit 1
    fi
}

# A .venv that is a link belongs to another checkout, which several may share: it is used as it is. Making it anew here
# would clear it there.
if [ -L .venv ]; then
    [ -x .venv/bin/python ] && exit 0
    echo ".venv is a link to $(readlink .venv), where no environment is. Make it there, or remove the link." >&2
    exit 1
fi

made && exit 0
check_python
check_venv
echo "Making the Python environment in .venv from $requirements (once) ..."
# An environment made elsewhere, or by another Python, cannot be repaired; ours can be added to.
if ! .venv/bin/python -c "import sys; sys.exit('%d.%d' % sys.version_info[:2] != '$version')" 2>/dev/null ||
    [ "$(cat .venv/made-in 2>/dev/null)" != "$(pwd)" ]; then
    "$python" -m venv --clear .venv
    pwd >.venv/made-in
fi
pip() {
    .venv/bin/python -m pip --quiet --quiet --disable-pip-version-check "$@"
}
rm -f ".venv/made-from-$kind"
pip install --require-hashes -r "$requirements"
pip install --no-index --no-build-isolation --no-deps --editable .
# The development environment holds the runtime one.
[ "$kind" = runtime ] || fingerprint requirements/runtime.txt >.venv/made-from-runtime
fingerprint "$requirements" >".venv/made-from-$kind"
