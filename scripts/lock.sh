#!/bin/sh
# Writes requirements/*.txt from requirements/*.in: the newest versions that go together, for every platform and for
# Python 3.11 and later, each file with its hash. No index's address goes into them.
set -eu
cd "$(dirname "$0")/.."

compile() {
    uv pip compile --quiet --upgrade --universal --generate-hashes --python-version 3.11 \
        --no-emit-index-url --no-emit-find-links --no-annotate --custom-compile-command "make lock" "$@"
}

compile requirements/dev.in --output-file requirements/dev.txt
# The runtime has the versions that were tested.
compile requirements/runtime.in --constraint requirements/dev.txt --output-file requirements/runtime.txt
# Consumers run apart from everything else, and share no versions with it.
compile requirements/consumers.in --output-file requirements/consumers.txt
# The binding of libvirt has no wheel: it is installed where libvirt is (`make virt`).
compile requirements/libvirt.in --constraint requirements/dev.txt --output-file requirements/libvirt.txt
