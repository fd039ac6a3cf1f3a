"""Debian packages: downloaded and unpacked into a cache, not installed."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

KERNEL_OF: Final = "linux-image-cloud-amd64"
TOOLS: Final = ("busybox-static", "syslinux", "syslinux-common", "mtools")


class CannotBuild(Exception):
    """The image cannot be made on this machine; the text says what is missing."""


def require(*programs: str) -> None:
    """See that programs are there. Raises CannotBuild."""
    missing = [program for program in programs if shutil.which(program, path=search_path()) is None]
    if missing:
        raise CannotBuild(f"needed, and not found: {', '.join(missing)} (the image is built on Debian)")


def search_path() -> str:
    """Where programs are, also those that only root usually has on the PATH."""
    return "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"


def kernel_package() -> str:
    """The kernel package of today, such as ``linux-image-6.1.0-56-cloud-amd64``. Raises CannotBuild."""
    said = _apt("apt-cache", "depends", KERNEL_OF).stdout
    found = re.search(r"Depends: (linux-image-\d\S+)", said)
    if found is None:
        raise CannotBuild(f"there is no package {KERNEL_OF} here; run `apt-get update`, on Debian 12 or later")
    return found.group(1)


def unpacked(name: str, cache: Path) -> Path:
    """The unpacked package, fetched if it is not in the cache. Raises CannotBuild."""
    root = cache / name
    if not root.is_dir():
        part = cache / f"{name}.part"
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        _apt("apt-get", "-q", "download", name, cwd=part)
        package = next(part.glob("*.deb"))
        subprocess.run(("dpkg-deb", "-x", package, part), check=True)  # noqa: S607 - Debian's own
        package.unlink()
        part.rename(root)
    return root


def _apt(*command: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CannotBuild(f"{' '.join(command)}: {done.stderr.strip()}")
    return done
