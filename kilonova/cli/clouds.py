"""``clouds.yaml``: how the openstack clients come to know the cloud (openstacksdk's configuration files).

What is in the user's file already is never touched: the entry is added as text, so that comments and order stay.
"""

import os
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

CLOUD: Final = "kilonova"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What a client needs to sign in."""

    auth_url: str
    username: str
    password: str
    project: str
    region: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """Where the account was kept: ``file`` has the entry ``cloud``; ``is_default`` if clients look there anyway."""

    file: Path
    cloud: str
    password: str
    is_default: bool
    told: str


def remember(account: Account, *, beside: Path) -> Written:
    """Keep the account in the state directory, and in the user's own file unless that has such an entry already.

    Both files are readable by their owner alone.
    """
    own = beside / "clouds.yaml"
    _write(own, "clouds:\n" + _entry(account, indent="  "))
    users = _users_file()
    problem = _add(users, account)
    if problem is None:
        return Written(
            file=users, cloud=CLOUD, password=account.password, is_default=True, told=f"{users}, cloud {CLOUD}"
        )
    told = f"{own}, cloud {CLOUD} ({problem})"
    return Written(file=own, cloud=CLOUD, password=account.password, is_default=False, told=told)


def _users_file() -> Path:
    named = os.environ.get("OS_CLIENT_CONFIG_FILE")
    if named:
        return Path(named).expanduser()
    config = os.environ.get("XDG_CONFIG_HOME")
    return (Path(config) if config else Path.home() / ".config") / "openstack" / "clouds.yaml"


def _add(file: Path, account: Account) -> str | None:
    """Add the entry to the user's file; returns why not, if it could not be."""
    try:
        present = file.read_text("utf-8") if file.exists() else ""
        document = yaml.safe_load(present) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return f"{file} cannot be read as YAML and was left as it is"
    if not isinstance(document, dict) or not isinstance(document.get("clouds") or {}, dict):
        return f"{file} has no mapping of clouds and was left as it is"
    if CLOUD in (document.get("clouds") or {}):
        return f"{file} has a cloud {CLOUD} already and was left as it is"
    text = _with_entry(present, document, account)
    if text is None:
        return f"{file} is written in a style that cannot be added to and was left as it is"
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _write(file.resolve(), text)
    except OSError as error:
        return f"{file} cannot be written: {error.strerror}"
    return None


def _with_entry(present: str, document: dict[str, Any], account: Account) -> str | None:
    """The file's text with the entry right below ``clouds:``, proven to hold all that it held before."""
    if "clouds" not in document:
        joint = "" if not present or present.endswith("\n") else "\n"
        text = f"{present}{joint}clouds:\n{_entry(account, indent='  ')}"
    else:
        head = re.search(r"^clouds:[ \t]*(#.*)?\r?\n", present, re.MULTILINE)
        if head is None:
            return None
        first = re.search(r"^( +)\S", present[head.end() :], re.MULTILINE)
        indent = first.group(1) if first and document["clouds"] else "  "
        text = f"{present[: head.end()]}{_entry(account, indent=indent)}{present[head.end() :]}"
    try:
        after = yaml.safe_load(text)
    except yaml.YAMLError:
        return None
    others = {name: cloud for name, cloud in after["clouds"].items() if name != CLOUD}
    rest = {**after, "clouds": others or document.get("clouds")}
    return text if rest == {"clouds": document.get("clouds"), **document} else None


def _entry(account: Account, *, indent: str) -> str:
    values = {
        CLOUD: {
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
    }
    lines = yaml.safe_dump(values, sort_keys=False).splitlines()
    return "".join(f"{indent}{line}\n" for line in lines)


def _write(file: Path, text: str) -> None:
    """Replace the file by one that only its owner can read, whole or not at all."""
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as temporary:
            temporary.write(text)
            temporary.flush()
            os.fsync(temporary.fileno())
        Path(name).replace(file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
