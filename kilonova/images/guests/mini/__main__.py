"""``python -m kilonova.images.guests.mini --out DIR``: build the mini guest's image."""

import argparse
import os
import subprocess
import sys
from pathlib import Path

from kilonova.images.guests.mini.disk import Parts, write_disk
from kilonova.images.guests.mini.initramfs import build_initramfs
from kilonova.images.guests.mini.packages import TOOLS, CannotBuild, kernel_package, require, unpacked


def build(out: Path, cache: Path) -> Path:
    """Write ``mini.qcow2`` (and ``mini.raw``) into ``out`` and give its path. Raises CannotBuild."""
    require("apt-get", "apt-cache", "dpkg-deb", "mke2fs", "qemu-img")
    out.mkdir(parents=True, exist_ok=True)
    kernel = unpacked(kernel_package(), cache)
    busybox, syslinux, syslinux_common, mtools = (unpacked(name, cache) for name in TOOLS)
    parts = Parts(
        kernel=next((kernel / "boot").glob("vmlinuz-*")).read_bytes(),
        initramfs=build_initramfs(busybox / "bin/busybox", kernel),
        syslinux=syslinux,
        syslinux_common=syslinux_common,
        mtools=mtools,
    )
    raw, qcow2 = out / "mini.raw", out / "mini.qcow2"
    write_disk(raw, parts)
    subprocess.run(("qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, qcow2), check=True)  # noqa: S607
    return qcow2


def main() -> int:
    """Build, and say where the image is and how to upload it."""
    words = argparse.ArgumentParser(prog="python -m kilonova.images.guests.mini", description=__doc__)
    words.add_argument("--out", type=Path, required=True, help="directory for the image")
    words.add_argument("--cache", type=Path, default=default_cache(), help="directory for Debian's packages")
    asked = words.parse_args()
    try:
        made = build(asked.out, asked.cache.resolve())
    except CannotBuild as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except subprocess.CalledProcessError as error:
        sys.stderr.write(f"{error.cmd[0]} failed with status {error.returncode}\n")
        return 1
    sys.stdout.write(f"{made} ({made.stat().st_size >> 10} KiB); it needs 96 MB of memory\n")
    says = "--property hw_qemu_guest_agent=yes"
    sys.stdout.write(f"openstack image create --disk-format qcow2 --file {made} {says} mini\n")
    return 0


def default_cache() -> Path:
    """Where packages are kept if nothing else is said."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "kilonova" / "mini"


if __name__ == "__main__":
    sys.exit(main())
