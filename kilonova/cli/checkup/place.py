"""The place where a cloud is kept: its directory, disk, database and images, and the port where it answers."""

import errno
import fcntl
import os
import shutil
import socket
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from kilonova.cli.checkup.finding import Finding, Status
from kilonova.domain.errors import KilonovaError
from kilonova.domain.images import Image
from kilonova.drivers.instances.definition import DEFINITION_FILE, find_definition
from kilonova.store.database import Database
from kilonova.store.images import StoredImages
from kilonova.store.inspection import Inspection, inspect

_GIB: Final = 1 << 30
_LEAST_BYTES: Final = _GIB
_FEW_BYTES: Final = 10 * _GIB
_ANSWER_SECONDS: Final = 3.0
_MOST_NAMED: Final = 3


def directory(path: Path) -> Iterator[Finding]:
    """Whether the state directory is there or can be made, can be written, and is its owner's alone."""
    if not path.exists():
        parent = next(each for each in path.parents if each.exists())
        if os.access(parent, os.W_OK | os.X_OK):
            yield Finding(check="state directory", status=Status.OK, seen=f"{path} is made at the first start")
        else:
            mend = f"choose another with --state-dir, or make it: install -d -m 700 -o $USER {path}"
            yield Finding(check="state directory", status=Status.FAIL, seen=f"{path} cannot be made", mend=mend)
        return
    if not path.is_dir() or not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        seen = f"{path} is not a directory that this user may write"
        yield Finding(check="state directory", status=Status.FAIL, seen=seen, mend=f"chown -R $USER {path}")
        return
    runs = " (a Kilonova runs on it)" if is_taken(path) else ""
    yield Finding(check="state directory", status=Status.OK, seen=f"{path}{runs}")
    yield _permissions(path)


def is_taken(path: Path) -> bool:
    """Whether a Kilonova runs on the state directory."""
    lock = path / "lock"
    if not lock.exists():
        return False
    with lock.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError as error:
            return error.errno in (errno.EWOULDBLOCK, errno.EACCES)
    return False


def _permissions(path: Path) -> Finding:
    secrets = [path, *(path / name for name in ("password", "metrics-token", "kilonova.sqlite", "images", "qemu"))]
    open_ = [each for each in secrets if each.exists() and stat.S_IMODE(each.stat().st_mode) & 0o077]
    if path not in open_:  # who may not enter may not read what is inside
        return Finding(check="permissions", status=Status.OK, seen="nobody but the owner may look inside")
    seen = f"others may look into {path}"
    return Finding(check="permissions", status=Status.WARN, seen=seen, mend=f"chmod 700 {path}")


def disk(path: Path, usage: Callable[[Path], Any] = shutil.disk_usage) -> Finding:
    """Whether there is room for images, disks of guests and the journal."""
    found = usage(next(each for each in (path, *path.parents) if each.exists()))
    seen = f"{found.free / _GIB:.1f} of {found.total / _GIB:.1f} GiB are free"
    if found.free >= _FEW_BYTES:
        return Finding(check="disk", status=Status.OK, seen=seen)
    status = Status.WARN if found.free >= _LEAST_BYTES else Status.FAIL
    mend = "delete images and servers that nobody needs, or choose a larger disk with --state-dir"
    return Finding(check="disk", status=status, seen=seen, mend=mend)


def port(address: str, number: int) -> Finding:
    """Whether the port is free, or a Kilonova has it."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((address, number))
        except OSError as error:
            return _no_port(address, number, error)
    return Finding(check="port", status=Status.OK, seen=f"{address} port {number} is free")


def _no_port(address: str, number: int, error: OSError) -> Finding:
    where = f"{address} port {number}"
    if error.errno == errno.EADDRINUSE:
        if _is_kilonova(address, number):
            return Finding(check="port", status=Status.OK, seen=f"a Kilonova answers at {where}")
        seen, mend = f"something else answers at {where}", "choose another with --port"
    elif error.errno in (errno.EACCES, errno.EPERM):
        seen, mend = f"this user may not listen at {where}", "choose a port above 1023 with --port"
    else:
        seen, mend = f"{where}: {error.strerror}", "choose an address of this machine with --listen"
    return Finding(check="port", status=Status.FAIL, seen=seen, mend=mend)


def _is_kilonova(address: str, number: int) -> bool:
    anywhere = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared, not bound
    try:
        with socket.create_connection((anywhere.get(address, address), number), timeout=_ANSWER_SECONDS) as line:
            line.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            line.settimeout(_ANSWER_SECONDS)
            return b"application/health+json" in line.recv(4096)
    except OSError:
        return False


def database(url: str) -> tuple[Finding, Inspection | None]:
    """Whether the database answers and holds what this version knows; with what was seen of it."""
    try:
        door = Database(url, pool_size=1)
        try:
            found = inspect(door)
        finally:
            door.close()
    except KilonovaError as error:
        mend = "see docs/guides/store.md; the setting is connection in [database]"
        return Finding(check="database", status=Status.FAIL, seen=error.message, mend=mend), None
    return _judged(found), found


def _judged(found: Inspection) -> Finding:
    if found.damage is not None:
        mend = "stop Kilonova, keep the file aside, and restore a backup"
        return Finding(check="database", status=Status.FAIL, seen=f"{found.name} is damaged: {found.damage}", mend=mend)
    if found.revision is None:
        return Finding(check="database", status=Status.OK, seen=f"{found.name} is made at the first start")
    if found.is_newer:
        seen = f"{found.name} was written by a newer Kilonova (revision {found.revision})"
        return Finding(check="database", status=Status.FAIL, seen=seen, mend="install that version again")
    if not found.is_current:
        seen = f"{found.name} has the older schema {found.revision}"
        return Finding(check="database", status=Status.NOTE, seen=seen, mend="the next start, or kilonova db upgrade")
    return Finding(check="database", status=Status.OK, seen=f"{found.name}, schema {found.revision}")


def images(path: Path, url: str) -> Finding:
    """Whether every image that is registered has its data, whole."""
    door = Database(url, pool_size=1)
    try:
        stored = StoredImages(door)
        known = [stored.find_image(image_id) for image_id in stored.list_image_ids_with_data()]
    except KilonovaError as error:
        return Finding(check="images", status=Status.FAIL, seen=error.message, mend="see the database")
    finally:
        door.close()
    bad = [image for image in known if image is not None and not _is_whole(path / "images" / image.id, image)]
    if not bad:
        return Finding(check="images", status=Status.OK, seen=f"{len(known)} images, each with its data")
    names = ", ".join(f"{image.name or 'unnamed'} ({image.id})" for image in bad[:_MOST_NAMED])
    seen = f"of {len(known)} images {len(bad)} have no data or not all of it: {names}"
    mend = "upload them again under the same name, and delete the broken ones: openstack image delete ID"
    return Finding(check="images", status=Status.FAIL, seen=seen, mend=mend)


def _is_whole(file: Path, image: Image) -> bool:
    return file.is_file() and (image.size is None or file.stat().st_size == image.size)


def guests(path: Path) -> Finding:
    """Whether every guest that is kept here can be read, and has the disks and the images that they stand on."""
    kept = [each.parent for each in sorted(path.glob(f"*/instances/*/{DEFINITION_FILE}"))]
    kept += [each.parent for each in sorted(path.glob(f"qemu-hosts/*/instances/*/{DEFINITION_FILE}"))]
    bad = {each.name: trouble for each in kept if (trouble := _trouble_of(each))}
    if not bad:
        return Finding(check="guests", status=Status.OK, seen=f"{len(kept)} on this machine, each with its disks")
    told = "; ".join(f"{uuid}: {trouble}" for uuid, trouble in list(bad.items())[:_MOST_NAMED])
    mend = "bring the file back from a backup, rebuild the server (openstack server rebuild ID), or delete it"
    return Finding(check="guests", status=Status.FAIL, seen=f"{len(bad)} of {len(kept)}: {told}", mend=mend)


def _trouble_of(directory: Path) -> str | None:
    definition = find_definition(directory)
    if definition is None:
        return f"{DEFINITION_FILE} cannot be read"
    wanted = [directory / disk.file for disk in definition.attached]
    wanted += [directory.parent.parent / "images" / name for name in sorted(definition.base_images)]
    missing = next((each for each in wanted if not each.exists()), None)
    return None if missing is None else f"{missing.resolve()} is missing"
