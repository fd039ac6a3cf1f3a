"""The command that tells the same as a page, to be copied into a shell."""

import shlex
from collections.abc import Callable, Mapping

Asked = Mapping[str, str]
Command = Callable[[Asked, bool], str]
"""From what was asked for, and whether it was for all projects."""


def plain(text: str) -> Command:
    """A command that is always the same."""
    return lambda _asked, _everyone: text


def of(text: str, name: str = "id") -> Command:
    """A command about the one thing that the address names."""
    return lambda asked, _everyone: f"{text} {shlex.quote(asked[name])}"


def servers(asked: Asked, everyone: bool) -> str:  # noqa: FBT001 - the signature of every Command
    """The list with its filters."""
    words = ["openstack", "server", "list", "--long"]
    words += ["--all-projects"] if everyone else []
    for name, option in (("status", "--status"), ("host", "--host"), ("q", "--name")):
        if asked.get(name):
            words += [option, asked[name]]
    return shlex.join(words)


def operation(asked: Asked, _everyone: bool) -> str:  # noqa: FBT001 - the same
    """The request's steps, on the server that is known."""
    server = asked.get("server")
    if server:
        return shlex.join(["openstack", "server", "event", "show", server, asked["id"]])
    return shlex.join(["kilonova", "explain", asked["id"]])


def failures(_asked: Asked, everyone: bool) -> str:  # noqa: FBT001 - the same
    """Failures of the same projects."""
    return "kilonova failures" if everyone else "kilonova failures --own"


def explain(asked: Asked, _everyone: bool) -> str:  # noqa: FBT001 - the same
    """The same question."""
    return shlex.join(["kilonova", "explain", asked.get("q") or "web1"])


def usage(asked: Asked, _everyone: bool) -> str:  # noqa: FBT001 - the same
    """The same month."""
    return shlex.join(["kilonova", "usage", "report", *(["--month", asked["month"]] if asked.get("month") else [])])


def past(at: str, address: str) -> str:
    """The same instant, asked of the cloud itself, which is at that address, with the token of who runs this."""
    header = '"X-Auth-Token: $(openstack token issue -f value -c id)"'
    return f"curl -sG -H {header} -d as_of={shlex.quote(at)} {shlex.quote(f'{address}/servers')}"
