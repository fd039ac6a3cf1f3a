"""``openstack kilonova …``: the commands that ask a cloud, for who has the openstack client at hand.

They are found by their entry points (``openstack.extension``) where both are installed. The client has signed in,
in whatever way it was told to; these commands go on with its session, and write in its formats (``-f``, ``-c``, …).
"""

import argparse
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from cliff.lister import Lister
from keystoneauth1.exceptions import ClientException

from kilonova.cli import capacity, events, explain, failures, servers, status, timeline, usage
from kilonova.cli.asking import flat, sees_all
from kilonova.console import board
from kilonova.console.accounts import Login
from kilonova.console.client import Client, Person
from kilonova.console.errors import CloudError

_LAST: Final = 20
_NESTED: Final = ("json", "yaml")
"""Formats that have lists."""


class SessionClient(Client):
    """A client that is signed in by a session of keystoneauth, not by a password."""

    def __init__(self, manager: Any) -> None:
        verify = manager.cacert or manager.verify
        super().__init__(Login(auth_url="", username="", password="", verify=verify))
        self._manager = manager

    def sign_in(self) -> Person:
        """As the session says; a token that the cloud refused is asked for anew."""
        session, place = self._manager.session, self._place
        try:
            if self._person is not None:
                session.invalidate()
            access = session.auth.get_access(session)
            compute = session.get_endpoint(service_type="compute", **place)
            self._login = Login(
                auth_url=str(session.get_endpoint(service_type="identity", version=(3,), **place)).rstrip("/"),
                username="",
                password="",
                verify=self._login.verify,
            )
        except ClientException as error:
            raise CloudError(f"Signing in failed: {error}") from error
        if compute is None:
            raise CloudError("The catalogue has no compute service for this login; is a project named?")
        self._token, self._compute = access.auth_token, str(compute).rstrip("/")
        self._person = Person(
            user_id=access.user_id,
            project_id=access.project_id,
            project_name=access.project_name,
            roles=frozenset(access.role_names),
        )
        return self._person

    @property
    def _place(self) -> dict[str, Any]:
        return {"interface": self._manager.interface, "region_name": self._manager.region_name}


def asked_for_people(asked: argparse.Namespace) -> bool:
    """Whether a table is wanted, and not data."""
    return bool(asked.formatter == "table")


class _Asking(Lister):
    """A list of what a cloud was asked for."""

    app: Any
    columns: tuple[str, ...]
    data_columns: tuple[str, ...] = ()
    """Where programs are told other ones."""

    def rows(self, client: Client, asked: argparse.Namespace) -> Iterable[Mapping[str, Any]]:
        """What there is to tell."""
        raise NotImplementedError

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Sequence[str], list[tuple[Any, ...]]]:
        """Ask, and give the columns and the rows."""
        client = SessionClient(self.app.client_manager)
        try:
            found = self.rows(client, parsed_args)
            names = self.columns if asked_for_people(parsed_args) else self.data_columns or self.columns
            rows = [[row.get(name) for name in names] for row in found]
            has_lists = parsed_args.formatter in _NESTED
            return names, [tuple(row if has_lists else map(flat, row)) for row in rows]
        finally:
            client.close()


class _OfProjects(_Asking):
    """One that looks at all projects, or at one's own."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """With ``--own``."""
        parser = super().get_parser(prog_name)
        parser.add_argument("--own", action="store_true", help="Only the servers of the own project.")
        return parser


class Status(_OfProjects):
    """Say whether the cloud is well: services, servers by status, capacity."""

    columns = status.COLUMNS
    data_columns = status.DATA_COLUMNS

    def rows(self, client: Client, asked: argparse.Namespace) -> Iterable[Mapping[str, Any]]:
        """One row a thing."""
        found = board.overview(client, all_projects=sees_all(client, own=asked.own))
        return status.rows(found) if asked_for_people(asked) else status.data(found)


class Servers(_OfProjects):
    """List servers, the newest first, with what is wrong with them."""

    columns = servers.COLUMNS

    def rows(self, client: Client, asked: argparse.Namespace) -> Iterable[Mapping[str, Any]]:
        """One row a server."""
        return map(servers.row, board.list_servers(client, all_projects=sees_all(client, own=asked.own)))


class Failures(_OfProjects):
    """Group what failed in the last day by its cause."""

    columns = failures.COLUMNS
    data_columns = failures.DATA_COLUMNS

    def rows(self, client: Client, asked: argparse.Namespace) -> Iterable[Mapping[str, Any]]:
        """One row a cause."""
        return failures.rows(client, all_projects=sees_all(client, own=asked.own))


class Usage(_OfProjects):
    """Say what was used in a month, by project and flavor."""

    columns = usage.COLUMNS

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """With the month."""
        parser = super().get_parser(prog_name)
        parser.add_argument("--month", help="Such as 2026-11; this month without.")
        return parser

    def rows(self, client: Client, asked: argparse.Namespace) -> Iterable[Mapping[str, Any]]:
        """One row a project and flavor."""
        return usage.rows(client, month=asked.month, own=not sees_all(client, own=asked.own))


class Explain(_Asking):
    """Say in one sentence why a server, a host or a request is as it is, and what to do."""

    columns = explain.COLUMNS

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """With what is to be explained."""
        parser = super().get_parser(prog_name)
        parser.add_argument("thing", help="Name or id of a server, name of a host, or id of a request.")
        return parser

    def rows(self, client: Client, asked: argparse.Namespace) -> Iterable[Mapping[str, Any]]:
        """One row."""
        return [explain.row(explain.explained(client, asked.thing))]


class Timeline(_Asking):
    """Tell what happened to a server: every request and each of its steps."""

    columns = timeline.COLUMNS

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """With the server."""
        parser = super().get_parser(prog_name)
        parser.add_argument("server", help="Name or id of the server.")
        return parser

    def rows(self, client: Client, asked: argparse.Namespace) -> Iterable[Mapping[str, Any]]:
        """One row a request and a step."""
        return timeline.rows(client, asked.server)


class Events(_Asking):
    """Tell what happened, the oldest first."""

    columns = events.COLUMNS

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """With what of the journal is wanted."""
        parser = super().get_parser(prog_name)
        parser.add_argument("-n", "--last", type=int, default=_LAST, help=f"So many of them (default {_LAST}).")
        parser.add_argument("--topic", action="append", default=[], help="Such as instance.stop; may be repeated.")
        parser.add_argument("--server", help="Only those of this server.")
        return parser

    def rows(self, client: Client, asked: argparse.Namespace) -> Iterable[Mapping[str, Any]]:
        """One row an event."""
        chosen = events.chosen(client, topics=tuple(asked.topic), server=asked.server, project=None)
        return events.latest(client, chosen, max(0, asked.last))[0]


class Capacity(_Asking):
    """Say how much of the hosts' vCPUs, memory and disk is promised to servers."""

    columns = capacity.COLUMNS

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """With what to sum it up by."""
        parser = super().get_parser(prog_name)
        parser.add_argument("--by", choices=capacity.GROUPINGS, default="zone", help="What to sum it up by.")
        return parser

    def rows(self, client: Client, asked: argparse.Namespace) -> Iterable[Mapping[str, Any]]:
        """One row a kind of thing and group."""
        return capacity.rows(client, asked.by)
