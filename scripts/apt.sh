# Sourced by the other scripts: what Debian's packages may be installed, and how.
# shellcheck shell=sh

# True where apt is there and we may use it without asking anybody for a password.
may_install() {
    command -v apt-get >/dev/null 2>&1 || return 1
    [ "$(id -u)" -eq 0 ] && return 0
    command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    else
        sudo -n "$@"
    fi
}

# apt_install NAME...: installs packages and only what they need; waits for another apt to finish.
apt_install() {
    as_root apt-get -qq -o DPkg::Lock::Timeout=600 update
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=600 \
        install -y --no-install-recommends "$@" >/dev/null
}
