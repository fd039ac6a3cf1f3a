#!/bin/sh
# Usage: scripts/ensure_virt.sh [packages]
#
# Installs libvirt with QEMU and its Python binding, and starts the daemon; with "packages" it starts nothing. Does
# nothing where that has been done. For Debian and Ubuntu, with systemd and without. What is configured stays as it is.
set -eu
cd "$(dirname "$0")/.."
. scripts/apt.sh

socket=/run/libvirt/libvirt-sock
patience_seconds=60

say() { echo "virt: $*"; }
die() { echo "virt: $*" >&2; exit 1; }

has_systemd() { [ -d /run/systemd/system ]; }

installed() { dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null | grep -qx installed; }

find_daemon() { PATH="$PATH:/usr/sbin" command -v libvirtd || PATH="$PATH:/usr/sbin" command -v virtqemud; }

# With systemd the units come in a package of their own; without it, that one would only bring what is not used.
packages="qemu-system-x86 qemu-utils libvirt-daemon libvirt-clients libvirt-dev pkg-config gcc iproute2"
has_systemd && packages="$packages libvirt-daemon-system"

install_packages() {
    command -v dpkg-query >/dev/null 2>&1 ||
        die "this is neither Debian nor Ubuntu: install QEMU, libvirt's daemon with its QEMU driver and libvirt's headers"
    missing=
    for package in $packages; do
        installed "$package" || missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    may_install || die "missing, and this account may not install them: sudo apt-get install --no-install-recommends$missing"
    say "installing$missing (about 25 MB to download) ..."
    # shellcheck disable=SC2086  # a list of packages
    apt_install $missing || die "could not be installed:$missing; what apt said is above"
}

# The header of Python itself is a package of its own where Python is Debian's.
install_python_headers() {
    header=$(.venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("include"))')/Python.h
    [ -e "$header" ] && return 0
    package=python$(.venv/bin/python -c 'import sys; print("%d.%d" % sys.version_info[:2])')-dev
    may_install || die "$header is missing: sudo apt-get install $package"
    say "installing $package ..."
    apt_install "$package" || die "could not be installed: $package; what apt said is above"
}

# Debian's packages make this user where systemd is; without it a daemon ends, and does not say why.
ensure_user() {
    getent passwd libvirt-qemu >/dev/null ||
        as_root useradd --system --no-create-home --user-group --home-dir /var/lib/libvirt --shell /usr/sbin/nologin libvirt-qemu
}

binding_fingerprint() {
    { cat requirements/libvirt.txt; pkg-config --modversion libvirt; .venv/bin/python -V; } | cksum
}

install_binding() {
    [ -x .venv/bin/python ] || sh scripts/environment.sh runtime
    if [ "$(cat .venv/made-from-libvirt 2>/dev/null)" = "$(binding_fingerprint)" ] &&
        .venv/bin/python -c 'import libvirt' 2>/dev/null; then
        return 0
    fi
    install_python_headers
    say "compiling the Python binding (half a minute) ..."
    # What builds it first, which is the end of the file; then nothing is fetched that has no hash there.
    sed -n '/^setuptools==/,$p' requirements/libvirt.txt | pip_install /dev/stdin
    pip_install requirements/libvirt.txt
    .venv/bin/python -c 'import libvirt' || die "the Python binding was installed and cannot be loaded"
    binding_fingerprint >.venv/made-from-libvirt
}

pip_install() {
    .venv/bin/python -m pip --quiet --quiet --disable-pip-version-check install \
        --require-hashes --no-build-isolation -r "$1" || die "the Python binding could not be installed"
}

answers() { as_root "$(pwd)/.venv/bin/python" -c "
import socket, sys
try:
    socket.socket(socket.AF_UNIX).connect('$socket')
except OSError:
    sys.exit(1)"; }

# Written only where there is none: on a machine without systemd, such as a container, nobody else is to be served.
configure_for_one() {
    as_root mkdir -p /etc/libvirt /var/log/libvirt
    if [ ! -e /etc/libvirt/qemu.conf ]; then
        as_root tee /etc/libvirt/qemu.conf >/dev/null <<'END'
# Written by Kilonova's `make virt`, for a machine without systemd and without other users of libvirt.
user = "root"
group = "root"
security_driver = "none"
dynamic_ownership = 0
remember_owner = 0
namespaces = []
cgroup_controllers = []
stdio_handler = "file"
END
    fi
    if [ ! -e "/etc/libvirt/$1.conf" ]; then
        as_root tee "/etc/libvirt/$1.conf" >/dev/null <<END
# Written by Kilonova's \`make virt\`.
auth_unix_ro = "none"
auth_unix_rw = "none"
unix_sock_rw_perms = "0700"
log_outputs = "3:file:/var/log/libvirt/$1.log"
END
    fi
}

start_by_hand() {
    daemon=$(find_daemon) || die "there is no libvirt daemon, though its packages are installed"
    name=$(basename "$daemon")
    configure_for_one "$name"
    say "starting $name (no systemd here) ..."
    # Under the reaper, for process 1 of a container may take seconds to notice the end of a machine.
    as_root sh -c 'nohup setsid "$@" >>/var/log/libvirt/start.log 2>&1 </dev/null &' sh \
        "$(pwd)/.venv/bin/python" "$(pwd)/scripts/reaper.py" "$daemon" -p "/run/$name.pid"
}

start_by_systemd() {
    for unit in libvirtd.socket virtqemud.socket; do
        if systemctl cat "$unit" >/dev/null 2>&1; then
            say "starting $unit ..."
            as_root systemctl enable --now --quiet "$unit" && return 0
        fi
    done
    die "systemd has no unit of libvirt that starts"
}

start_daemon() {
    answers && { say "libvirt answers at $socket"; return 0; }
    if has_systemd; then start_by_systemd; else start_by_hand; fi
    waited=0
    until answers; do
        [ "$waited" -lt "$patience_seconds" ] || die "libvirt does not answer at $socket; see /var/log/libvirt"
        sleep 1
        waited=$((waited + 1))
    done
    say "libvirt answers at $socket"
}

advise() {
    if [ "$(id -u)" -ne 0 ] && ! [ -w "$socket" ]; then
        say "you may not use it yet: sudo usermod -aG libvirt $(id -un), and sign in anew"
    fi
    say "ready: kilonova up --driver libvirt"
}

install_packages
ensure_user
install_binding
[ "${1:-}" = packages ] && exit 0
sh scripts/ensure_novnc.sh libvirt
start_daemon
advise
