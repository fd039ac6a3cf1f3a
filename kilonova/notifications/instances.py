"""A change of a server, told in both formats."""

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, Final

from kilonova.domain.audit import Period, current_period
from kilonova.domain.changes import Phase
from kilonova.domain.journal import JournalRow
from kilonova.notifications import legacy, specs, versioned
from kilonova.notifications.instance_facts import Server
from kilonova.notifications.message import Draft, Payload, Priority, Telling
from kilonova.notifications.occasions import NOTICES, Notice, Occasion, occasions_of
from kilonova.notifications.options import NotificationOptions

_INFO, _ERROR = Priority.INFO, Priority.ERROR
_TAGS: Final = "tags_json"
_VM_STATE, _TASK_STATE = "vm_state", "task_state"
_FROM_AGENTS: Final = frozenset(set(Phase) - {Phase.ACCEPTED})


def tell_instance(row: JournalRow, options: NotificationOptions) -> Iterator[Telling]:
    """Everything that a row of an instance says, in Nova's order."""
    teller = _Teller(Server(row), options)
    for occasion in occasions_of(row):
        yield from teller.tell(occasion)


def tell_existence(row: JournalRow, options: NotificationOptions) -> Iterator[Telling]:
    """``exists`` of a server for a period that is over, in the name of its host (contract §10.5)."""
    server = Server(row)
    period = Period(server.facts["audit_period_beginning"], server.facts["audit_period_ending"])
    yield _Teller(server, options).exists(server["host"] or options.host, period)


class _Teller:
    """Tells of one server at one moment."""

    def __init__(self, server: Server, options: NotificationOptions) -> None:
        self._server = server
        self._options = options

    def tell(self, occasion: Occasion) -> Iterator[Telling]:
        """The messages of one occasion; an update that nobody wants has none."""
        host = occasion.host or self._host
        match occasion.name:
            case "update":
                yield from self._update(host)
            case "exists":
                yield self.exists(host, self._period)
            case "exception":
                yield self._exception(host)
            case "build_instances" | "migrate_server" | "rebuild_server":
                yield self._given_up(occasion.name)
            case "select_destinations":
                yield self._scheduled(occasion.phase)
            case name:
                yield self._notice(NOTICES[name], occasion, host)

    @cached_property
    def _legacy_base(self) -> Payload:
        """What all legacy messages of the row have in common."""
        return legacy.instance_payload(self._server, self._options)

    @cached_property
    def _versioned_base(self) -> Payload:
        """What all versioned messages of the row have in common."""
        return versioned.instance_data(self._server, self._options)

    @cached_property
    def _period(self) -> Period:
        """The audit period in which it happened, up to then."""
        return current_period(self._options.audit_period, self._server.occurred_at)

    @property
    def _host(self) -> str:
        """Who saved the change: the agent that reported it, else the control plane."""
        reported = self._server.host if self._server.row.phase in _FROM_AGENTS else None
        return reported or self._options.host

    def exists(self, host: str, period: Period) -> Telling:
        """That the server is there, in the name of a host."""
        return Telling(
            Draft(
                "compute.instance.exists",
                f"compute.{host}",
                lambda: {**self._legacy_base, **legacy.audited_existence(period)},
            ),
            Draft(
                "instance.exists",
                f"nova-compute:{host}",
                lambda: versioned.thing(
                    "InstanceExistsPayload",
                    {
                        **self._versioned_base,
                        "audit_period": versioned.audit_period(period),
                    },
                ),
            ),
        )

    def _notice(self, notice: Notice, occasion: Occasion, host: str) -> Telling:
        suffix = f".{occasion.phase}" if occasion.phase else ""
        priority = _ERROR if occasion.phase == "error" else _INFO
        old = None
        if notice.legacy is not None:
            event = f"compute.instance.{notice.legacy}{suffix}"
            publisher = f"{notice.service}.{host}"
            old = Draft(event, publisher, lambda: self._legacy_payload(notice, occasion), priority)
        new = None
        if notice.payload is not None:
            event = f"instance.{occasion.name}{suffix}"
            publisher = f"{self._binary(notice, occasion)}:{self._versioned_host(occasion, host)}"
            new = Draft(event, publisher, lambda: self._versioned_payload(notice, occasion), priority)
        return Telling(old, new)

    def _binary(self, notice: Notice, occasion: Occasion) -> str:
        """A delete without the server's host is the API's own (contract §10.6.1)."""
        is_local = occasion.name == "delete" and self._server.host is None
        return "nova-api" if is_local else notice.binary

    def _versioned_host(self, occasion: Occasion, host: str) -> str:
        """Nova publishes ``rebuild_scheduled`` as the conductor of the chosen host."""
        return self._server["host"] or host if occasion.name == "rebuild_scheduled" else host

    def _legacy_payload(self, notice: Notice, occasion: Occasion) -> Payload:
        payload = dict(self._legacy_base)
        if occasion.phase in notice.addresses:
            payload["fixed_ips"] = legacy.fixed_ips(self._server)
        if occasion.phase == "error":
            payload |= legacy.fault_payload(self._server)
        return {**payload, **_legacy_extras(occasion, self._server)}

    def _versioned_payload(self, notice: Notice, occasion: Occasion) -> Payload:
        data = dict(self._versioned_base)
        if notice.has_volumes:
            data["block_devices"] = []
        data["fault"] = versioned.exception_of(self._server) if occasion.phase == "error" else None
        extras = versioned.EXTRAS.get(notice.payload or "")
        return versioned.thing(f"Instance{notice.payload}", data | (extras(self._server) if extras else {}))

    def _scheduled(self, phase: str) -> Telling:
        """That the scheduler was asked, and answered."""
        server, host = self._server, self._options.host
        event = f"scheduler.select_destinations.{phase}"
        return Telling(
            Draft(event, f"scheduler.{host}", lambda: {"request_spec": specs.legacy_request_spec(server)}),
            Draft(event, f"nova-scheduler:{host}", lambda: specs.request_spec(server)),
        )

    def _given_up(self, method: str) -> Telling:
        """That the conductor found no way."""
        server, host = self._server, self._options.host
        event = f"compute_task.{method}"
        return Telling(
            Draft(event, f"compute_task.{host}", lambda: specs.legacy_compute_task(server, method), _ERROR),
            Draft(f"{event}.error", f"nova-conductor:{host}", lambda: specs.compute_task(server), _ERROR),
        )

    def _exception(self, host: str) -> Telling:
        """That a method failed, by its bare name (contract §10.4.2)."""
        server = self._server
        event = str(server.facts.get("event") or "")
        function = event.removeprefix("compute_") or str(server.row.operation)
        return Telling(
            Draft(
                function,
                f"compute.{host}",
                lambda: {"exception": legacy.exception_text(server), "args": {"instance": _primitive(server)}},
                _ERROR,
            ),
            Draft("compute.exception", f"nova-compute:{host}", lambda: versioned.exception_of(server), _ERROR),
        )

    def _update(self, host: str) -> Iterator[Telling]:
        """``update``, where something changed and it is wanted; changed tags are told always (contract §10.4.3)."""
        server, wanted = self._server, self._options.notify_on_state_change
        if not server.changed or not (wanted or _TAGS in server.previous):
            return
        service, binary = self._updater()
        yield Telling(
            Draft("compute.instance.update", f"{service}.{host}", self._legacy_update),
            Draft("instance.update", f"{binary}:{host}", self._versioned_update),
        )

    def _updater(self) -> tuple[str, str]:
        """Who tells an update: the conductor that of a new server, the API that of tags, else compute."""
        if self._server.row.previous_json is None:
            return "conductor", "nova-conductor"
        if self._server.changed == {_TAGS}:
            return "nova-api", "nova-api"
        return "compute", "nova-compute"

    def _legacy_update(self) -> Payload:
        server, (old, new) = self._server, self._states()
        payload = {
            **self._legacy_base,
            "old_state": old[_VM_STATE],
            "state": new[_VM_STATE],
            "old_task_state": old[_TASK_STATE],
            "new_task_state": new[_TASK_STATE],
            **legacy.audited(self._period),
        }
        if "display_name" in server.previous:
            payload["old_display_name"] = server.previous["display_name"]
        return payload

    def _versioned_update(self) -> Payload:
        server, (old, new) = self._server, self._states()
        return versioned.thing(
            "InstanceUpdatePayload",
            {
                **self._versioned_base,
                "state_update": versioned.state_update(old, new),
                "audit_period": versioned.audit_period(self._period),
                "old_display_name": server.previous.get("display_name"),
                "tags": server.tags,
            },
        )

    def _states(self) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        """The states before and after; of a task state alone only if those are wanted (contract §10.4.3)."""
        server = self._server
        new = {name: server[name] for name in (_VM_STATE, _TASK_STATE)}
        tells_tasks = _VM_STATE in server.changed or self._options.notify_on_state_change == "vm_and_task_state"
        old = {name: server.before(name) for name in new} if tells_tasks else new
        return old, new


def _legacy_extras(occasion: Occasion, server: Server) -> Payload:
    """What single events have besides (contract §10.4.2)."""
    match occasion:
        case ("create", "start", _) | ("rebuild", "start" | "end", _):
            return {"image_name": server.image.get("name", "")}
        case ("create", "end", _):
            return {"message": "Success"}
        case ("rescue", _, _):
            return {"rescue_image_name": (server.parameters.get("image") or {}).get("name", "")}
        case ("resize_prep", "end", _):
            flavor = server.new_flavor
            return {"new_instance_type": flavor["name"], "new_instance_type_id": flavor["id"]} if flavor else {}
    return {}


_PRIMITIVE: Final = (
    *("uuid", "display_name", "hostname", "vm_state", "task_state", "power_state", "host", "node", "user_id"),
    *("project_id", "reservation_id", "image_ref", "vcpus", "memory_mb", "root_gb", "ephemeral_gb", "created_at"),
    *("launched_at", "terminated_at", "deleted_at"),
)


def _primitive(server: Server) -> Payload:
    """The instance among the arguments of what failed."""
    return {name: server[name] for name in _PRIMITIVE}
