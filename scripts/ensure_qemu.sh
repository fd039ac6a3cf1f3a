#!/bin/sh
# Usage: scripts/ensure_qemu.sh DRIVER
#
# Installs QEMU from Debian's packages where DRIVER will need it, it is missing, and we may. Otherwise it leaves the
# word to `kilonova up`, which refuses to start and says what to install.
set -eu
cd "$(dirname "$0")/.."
. scripts/apt.sh

case ${1:-auto} in
    auto | qemu) ;;
    *) exit 0 ;;
esac

case $(uname -m) in
    x86_64 | amd64) ;;
    *)
        echo "This host is $(uname -m): guests are x86-64 machines, which QEMU emulates here, slowly." >&2
        ;;
esac

if command -v qemu-system-x86_64 >/dev/null 2>&1 && command -v qemu-img >/dev/null 2>&1; then
    exit 0
fi
may_install || exit 0
echo "Installing QEMU (Debian's qemu-system-x86 and qemu-utils, about 18 MB to download) ..."
if ! apt_install qemu-system-x86 qemu-utils; then
    echo "QEMU could not be installed; what apt said is above." >&2
fi
