#!/bin/sh
# Usage: scripts/ensure_novnc.sh DRIVER
#
# Puts noVNC, which shows screens of servers in a browser, into .venv/share/novnc where DRIVER has screens and noVNC is
# nowhere: the files of Debian's package alone, for the whole of it would bring Node.js and NumPy for a proxy that is not
# used here. Without it everything else goes on, and the addresses of screens say what is missing.
set -eu
cd "$(dirname "$0")/.."
. scripts/apt.sh

page=vnc_lite.html
target=.venv/share/novnc

[ "${1:-auto}" != simulated ] || exit 0
[ ! -e /usr/share/novnc/$page ] || exit 0
[ ! -e $target/$page ] || exit 0
command -v apt-get >/dev/null 2>&1 || exit 0

fetch() {
    (cd "$1" && timeout 60 apt-get -qq -o APT::Sandbox::User=root -o Acquire::Retries=0 -o Acquire::http::Timeout=15 \
        download novnc >/dev/null 2>&1)
}

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
echo "Fetching noVNC (Debian's package novnc, 250 kB), which shows screens in a browser ..."
if ! fetch "$folder" && may_install; then  # the lists of packages may be old, or not be there at all
    as_root apt-get -qq -o DPkg::Lock::Timeout=600 update && fetch "$folder" || true
fi
if ! dpkg-deb -x "$folder"/novnc_*.deb "$folder/content" 2>/dev/null; then
    echo "noVNC could not be fetched: apt-get install --no-install-recommends novnc installs it." >&2
    exit 0
fi
mkdir -p .venv/share
rm -rf "$target" "$target.part"
cp -r "$folder/content/usr/share/novnc" "$target.part"
mv "$target.part" "$target"
