"""Which cloud, and as whom: ``clouds.yaml`` and the ``OS_*`` variables, as all openstack clients read them."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final

import yaml

from kilonova.console.errors import CloudError

_OWN: Final = "kilonova"
_FOLDERS: Final = (Path(), Path("~/.config/openstack"), Path("/etc/openstack"))
_FROM_ENVIRONMENT: Final = {
    "username": "OS_USERNAME",
    "password": "OS_PASSWORD",
    "project_name": "OS_PROJECT_NAME",
    "project_id": "OS_PROJECT_ID",
    "user_domain_name": "OS_USER_DOMAIN_NAME",
    "project_domain_name": "OS_PROJECT_DOMAIN_NAME",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a cloud is: its identity service, and which of its endpoints are meant.

    ``verify`` is False, or the path of a CA bundle, where the system's own certificates are not meant.
    """

    auth_url: str
    user_domain_name: str = "Default"
    project_domain_name: str = "Default"
    region_name: str | None = None
    interface: str = "public"
    verify: bool | str = True

    def login(self, username: str, password: str, project_name: str | None, *, domain: str = "") -> "Login":
        """How somebody signs in there; ``domain`` is that of the user and of the project, where it is another one."""
        where = {each.name: getattr(self, each.name) for each in fields(Place)}
        if domain:
            where |= {"user_domain_name": domain, "project_domain_name": domain}
        return Login(**where, username=username, password=password, project_name=project_name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Login(Place):
    """How to sign in to a cloud."""

    username: str
    password: str = field(repr=False)
    project_name: str | None = None
    project_id: str | None = None
    source: str = ""
    """Where it was found, for people; empty for one that was typed."""


def find_place(
    cloud: str | None = None, auth_url: str | None = None, environment: Mapping[str, str] = os.environ
) -> Place:
    """Where the cloud is that ``find_login`` would sign in to, or that has this identity service; needs no account.

    CloudError where there is none.
    """
    if auth_url:
        return Place(auth_url=auth_url.rstrip("/"))
    auth, entry, where = _found(cloud, environment)
    return Place(**_place(auth, entry, where))


def find_login(cloud: str | None = None, environment: Mapping[str, str] = os.environ) -> Login:
    """The login of a named cloud, of ``OS_CLOUD``, of the ``OS_*`` variables, or else of this machine's own Kilonova.

    CloudError where there is none, or it lacks something.
    """
    auth, entry, where = _found(cloud, environment)
    for needed in ("auth_url", "username", "password"):
        if not auth.get(needed):
            raise CloudError(f"{where} has no {needed}.")
    names = ("username", "password", "project_name", "project_id")
    known = {name: str(auth[name]) for name in names if auth.get(name)}
    return Login(**_place(auth, entry, where), **known, source=where)


_Found = tuple[Mapping[str, Any], Mapping[str, Any], str]
"""What an entry says of signing in, all of the entry, and where it stands."""


def _found(cloud: str | None, environment: Mapping[str, str]) -> _Found:
    named = cloud or environment.get("OS_CLOUD")
    if named:
        return _of_cloud(named, environment)
    if environment.get("OS_AUTH_URL"):
        return _of_environment(environment)
    return _of_cloud(_OWN, environment)


def _of_environment(environment: Mapping[str, str]) -> _Found:
    auth = {name: environment[variable] for name, variable in _FROM_ENVIRONMENT.items() if variable in environment}
    rest = {"region_name": environment.get("OS_REGION_NAME"), "cacert": environment.get("OS_CACERT")}
    return {**auth, "auth_url": environment["OS_AUTH_URL"]}, rest, "the OS_* variables"


def _of_cloud(name: str, environment: Mapping[str, str]) -> _Found:
    for file in _files(environment):
        clouds = _clouds(file)
        if name in clouds:
            entry = clouds[name] if isinstance(clouds[name], dict) else {}
            return entry.get("auth") or {}, entry, f"cloud {name} of {file}"
    raise CloudError(
        f"There is no cloud {name!r} in any clouds.yaml. Name one with --os-cloud, set the OS_* variables, "
        "or start one here with `kilonova up`."
    )


def _files(environment: Mapping[str, str]) -> list[Path]:
    named = environment.get("OS_CLIENT_CONFIG_FILE")
    if named:
        return [Path(named).expanduser()]
    places = [folder.expanduser() / f"clouds.{suffix}" for folder in _FOLDERS for suffix in ("yaml", "yml")]
    return [place for place in places if place.exists()]


def _clouds(file: Path) -> Mapping[str, Any]:
    try:
        document = yaml.safe_load(file.read_text("utf-8")) or {}
    except FileNotFoundError as error:
        raise CloudError(f"There is no file {file}, which OS_CLIENT_CONFIG_FILE names.") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise CloudError(f"{file} cannot be read as YAML.") from error
    clouds = document.get("clouds") if isinstance(document, dict) else None
    return clouds if isinstance(clouds, dict) else {}


def _place(auth: Mapping[str, Any], entry: Mapping[str, Any], where: str) -> dict[str, Any]:
    if not auth.get("auth_url"):
        raise CloudError(f"{where} has no auth_url.")
    domains = {name: str(auth[name]) for name in ("user_domain_name", "project_domain_name") if auth.get(name)}
    return {
        **domains,
        "auth_url": str(auth["auth_url"]).rstrip("/"),
        "region_name": entry.get("region_name"),
        "interface": str(entry.get("interface") or "public"),
        "verify": entry.get("cacert") or entry.get("verify", True) is not False,
    }
