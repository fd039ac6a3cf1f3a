"""``clouds.yaml``: how the openstack clients come to know the cloud (openstacksdk's configuration files).

What is in the user's file already is never touched: the entry is added as text, so that comments and order stay.
"""

import os
import re
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

CLOUD: Final = "kilonova"
_NAMED: Final = "OS_CLIENT_CONFIG_FILE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What a client needs to sign in."""

    auth_url: str
    username: str
    password: str
    project: str
    region: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How clients sign in: ``file`` has the entry ``kilonova``; ``is_default`` if clients look there anyway.

    ``told`` says it to people. ``is_new`` means that the password was made at this start.
    """

    file: Path
    password: str
    is_default: bool
    is_new: bool
    told: str

    @property
    def prefix(self) -> str:
        """What stands before a client's command so that it finds this cloud."""
        return "" if self.is_default else f"{_NAMED}={self.file} "

    def commands(self, called: str) -> list[str]:
        """What to try first, ready to be typed; ``called`` is how this very command was called, by name or path."""
        program = called if Path(called).name == "kilonova" and shutil.which("kilonova") is None else "kilonova"
        create = "server create --flavor m1.tiny --image tiny --wait web1"
        return [f"{self.prefix}openstack --os-cloud {CLOUD} {create}", f"{self.prefix}{program} status"]


def remember(account: Account, *, beside: Path) -> Access:
    """Keep the account in the state directory, and in the user's own file unless that has such an entry already.

    Both files are readable by their owner alone. Where neither can be written, ``told`` says so: nothing is raised,
    for the password is known nowhere else and is still to be shown.
    """
    own = beside / "clouds.yaml"
    lost = _replace(own, "clouds:\n" + _entry(account, indent="  "))
    try:
        users = _users_file()
        problem = _add(users, account)
    except RuntimeError:
        users, problem = own, "this account has no home directory"
    if problem is None:
        return Access(
            file=users, password=account.password, is_default=True, is_new=True, told=f"{users}, cloud {CLOUD}"
        )
    told = f"no file, write it down ({problem}; {lost})" if lost else f"{own}, cloud {CLOUD} ({problem})"
    return Access(file=own, password=account.password, is_default=False, is_new=True, told=told)


def recall(account: Account, *, beside: Path) -> Access:
    """How the account of an earlier start is reached: the address in the state directory's copy is kept current.

    The user's own file counts only if its entry is this very cloud at this very address.
    """
    own = beside / "clouds.yaml"
    if account.password:
        _replace(own, "clouds:\n" + _entry(account, indent="  "))
    try:
        users = _users_file()
        entry = (_document(users.read_text("utf-8")) or {})["clouds"][CLOUD]
    except (OSError, ValueError, LookupError, TypeError, RuntimeError):
        users, entry = own, None
    is_default = bool(account.password) and entry == _values(account)
    file = users if is_default else own
    told = (
        f"admin, as {file} says, cloud {CLOUD}"
        if account.password
        else f"admin; {own} is gone, and with it the password"
    )
    return Access(file=file, password=account.password, is_default=is_default, is_new=False, told=told)


def find_password(beside: Path) -> str | None:
    """The password that a start which was cut off has kept in the state directory, or None."""
    try:
        document = _document((beside / "clouds.yaml").read_text("utf-8"))
        return str(document["clouds"][CLOUD]["auth"]["password"])
    except (OSError, ValueError, LookupError, TypeError):
        return None


def _users_file() -> Path:
    named = os.environ.get(_NAMED)
    if named:
        return Path(named).expanduser()
    config = os.environ.get("XDG_CONFIG_HOME")
    return (Path(config) if config else Path.home() / ".config") / "openstack" / "clouds.yaml"


def _add(file: Path, account: Account) -> str | None:
    """Add the entry to the user's file; returns why not, if it could not be."""
    text, problem = _enlarged(file, account)
    if text is None:
        return problem
    return _replace(file, text)


def _enlarged(file: Path, account: Account) -> tuple[str | None, str]:
    """The file's text with the entry in it, or None and why it can have none."""
    try:
        hidden = _hidden_by(file)
        if hidden:
            return None, f"{hidden} is there, which clients would no longer read beside a new {file.name}"
        present = file.read_bytes().decode("utf-8") if file.exists() else ""
        document = _document(present) or {}
    except (OSError, ValueError):
        return None, f"{file} cannot be read as YAML and was left as it is"
    if not isinstance(document, dict) or not isinstance(document.get("clouds") or {}, dict):
        return None, f"{file} has no mapping of clouds and was left as it is"
    entry = (document.get("clouds") or {}).get(CLOUD)
    if entry == _values(account):
        return present, ""
    if CLOUD in (document.get("clouds") or {}):
        return None, f"{file} has a cloud {CLOUD} already and was left as it is"
    text = _with_entry(present, document, account)
    return text, f"{file} is written in a style that cannot be added to and was left as it is"


def _hidden_by(file: Path) -> Path | None:
    """What clients read in place of this file while it is not there: they take the first that they find.

    A file that the user named is wanted, whatever it hides.
    """
    if file.exists() or os.environ.get(_NAMED):
        return None
    folders = dict.fromkeys((file.parent, Path.home() / ".config" / "openstack", Path("/etc/openstack")))
    places = (folder / f"clouds.{suffix}" for folder in folders for suffix in ("yaml", "yml", "json"))
    return next((place for place in places if place.exists()), None)


def _document(text: str) -> Any:
    """What the text says. ValueError where it is no YAML, whatever the library makes of that."""
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, AttributeError, LookupError, RecursionError, TypeError) as error:
        raise ValueError(f"not YAML: {error}") from error


def _with_entry(present: str, document: dict[str, Any], account: Account) -> str | None:
    """The file's text with the entry right below ``clouds:``, proven to hold all that it held before."""
    newline = "\r\n" if "\r\n" in present else "\n"
    before, after = _divided(present, document)
    if before is None:
        return None
    # Where others stand already, the entry stands as deep as the first of them.
    first = re.search(r"^( +)[^\s#]", after, re.MULTILINE) if document.get("clouds") else None
    entry = _entry(account, indent=first.group(1) if first else "  ")
    text = before + entry.replace("\n", newline) + after
    clouds = {**(document.get("clouds") or {}), CLOUD: _values(account)}
    try:
        return text if _document(text) == {**document, "clouds": clouds} else None
    except ValueError:
        return None


def _divided(present: str, document: dict[str, Any]) -> tuple[str | None, str]:
    """The file's text up to the end of its line ``clouds:``, and what follows; None where that line is another's."""
    newline = "\r\n" if "\r\n" in present else "\n"
    text = present if not present or present.endswith("\n") else present + newline
    if "clouds" not in document:
        return f"{text}clouds:{newline}", ""
    head = re.search(r"^clouds:[ \t]*(#.*)?\r?\n", text, re.MULTILINE)
    return (text[: head.end()], text[head.end() :]) if head else (None, "")


def _values(account: Account) -> dict[str, Any]:
    return {
        "auth": {
            "auth_url": account.auth_url,
            "username": account.username,
            "password": account.password,
            "project_name": account.project,
            "user_domain_name": "Default",
            "project_domain_name": "Default",
        },
        "region_name": account.region,
        "identity_api_version": 3,
    }


def _entry(account: Account, *, indent: str) -> str:
    lines = yaml.safe_dump({CLOUD: _values(account)}, sort_keys=False, width=sys.maxsize).splitlines()
    return "".join(f"{indent}{line}\n" for line in lines)


def _replace(file: Path, text: str) -> str | None:
    """Write the file, made with its folder if it is not there; returns why not, if it could not be."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _write(file.resolve(), text)
    except OSError as error:
        return f"{file} cannot be written: {error.strerror}"
    return None


def _write(file: Path, text: str) -> None:
    """Replace the file by one that only its owner can read, whole or not at all."""
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with os.fdopen(descriptor, "wb") as temporary:
            temporary.write(text.encode())
            temporary.flush()
            os.fsync(temporary.fileno())
        Path(name).replace(file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
