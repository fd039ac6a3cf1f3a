"""The reference page of notifications, from the tables that renderers and conformance tests read."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Final

from kilonova.notifications.occasions import NOTICES, Notice, phases_of
from kilonova.notifications.versioned import VERSIONS
from tests.compat.notifications.differences import NOT_TOLD, PAYLOADS, SEQUENCES, VALUES
from tests.compat.notifications.golden import examples, samples, sequences

_OTHERS: Final = (
    ("instance.update", "compute.instance.update", "InstanceUpdatePayload"),
    ("instance.exists", "compute.instance.exists", "InstanceExistsPayload"),
    ("compute.exception", "the method's name", "ExceptionPayload"),
    ("scheduler.select_destinations.start, .end", "the same", "RequestSpecPayload"),
    ("compute_task.build_instances.error", "compute_task.build_instances", "ComputeTaskPayload"),
    ("compute_task.migrate_server.error", "compute_task.migrate_server", "ComputeTaskPayload"),
    ("compute_task.rebuild_server.error", "compute_task.rebuild_server", "ComputeTaskPayload"),
    ("aggregate.create.start, .end", "the same", "AggregatePayload"),
    ("aggregate.delete.start, .end", "the same", "AggregatePayload"),
    ("aggregate.update_prop.start, .end", "aggregate.updateprop.start, .end", "AggregatePayload"),
    ("aggregate.update_metadata.start, .end", "aggregate.updatemetadata.start, .end", "AggregatePayload"),
    ("aggregate.add_host.start, .end", "aggregate.addhost.start, .end", "AggregatePayload"),
    ("aggregate.remove_host.start, .end", "aggregate.removehost.start, .end", "AggregatePayload"),
    ("aggregate.cache_images.start, .end", "", "AggregatePayload"),
    ("aggregate.cache_images.progress", "", "AggregateCachePayload"),
    ("keypair.create.start, .end", "the same", "KeypairPayload"),
    ("keypair.import.start, .end", "the same", "KeypairPayload"),
    ("keypair.delete.start, .end", "the same", "KeypairPayload"),
    ("flavor.create, flavor.update, flavor.delete", "", "FlavorPayload"),
    ("server_group.create", "servergroup.create", "ServerGroupPayload"),
    ("server_group.add_member", "servergroup.addmember", "ServerGroupPayload"),
    ("server_group.delete", "servergroup.delete", "ServerGroupPayload"),
    ("service.create, service.update, service.delete", "", "ServiceStatusPayload"),
    ("libvirt.connect.error", "", "LibvirtErrorPayload"),
)


_INTRODUCTION: Final = """\
Every change that Nova has words for is told in them, in the legacy format and in the versioned one (`[notifications] \
notification_format`), from the journal: none that did not happen, none twice under two ids. What is not listed here \
as different has the keys, types, object names and versions of Nova's samples ({samples}) and of what a real Nova was \
recorded to send ({kinds} kinds of messages), and comes in the same order."""
_GENERAL: Final = """\
What is told is a change that was made: the start of what ends at once, such as a new flavor's, is told with its end, \
and what was refused is told nowhere. Names of modules, functions and exceptions are Kilonova's own."""


def blocks() -> list[str]:
    """The page's paragraphs and tables."""
    of_samples = f"{_told_samples()} of {len(samples())} are of what Kilonova does"
    others = ((_code(new), _code(old), _object(name)) for new, old, name in _OTHERS)
    return [
        _INTRODUCTION.format(samples=of_samples, kinds=_told_examples()),
        "## Servers",
        _table(("Versioned", "Legacy", "Phases", "Object"), (_notice_row(*each) for each in NOTICES.items())),
        "## All else",
        _table(("Versioned", "Legacy", "Object"), others),
        "## Different from Nova",
        _GENERAL,
        _table(("Payload", "Why"), _reasons(PAYLOADS)),
        "These values are not what Nova would say:",
        _table(("Field", "What Kilonova says"), _reasons(VALUES)),
        f"Sequences of {len(sequences())} operations are compared; updates that follow one another count as one.",
        _table(("Operation", "Its sequence"), _reasons(SEQUENCES)),
        "## Not told",
        _table(("Event types", "Why"), _reasons(NOT_TOLD)),
    ]


def _reasons(rows: Mapping[str, str]) -> Iterator[Sequence[str]]:
    return ((_code(what), why) for what, why in rows.items())


def _notice_row(name: str, notice: Notice) -> Sequence[str]:
    legacy = f"compute.instance.{notice.legacy}" if notice.legacy else ""
    new, payload = (f"instance.{name}", _object(f"Instance{notice.payload}")) if notice.payload else ("", "")
    return (_code(new), _code(legacy), ", ".join(phases_of(name)), payload)


def _object(name: str) -> str:
    return f"{name} {VERSIONS[name]}"


def _told_samples() -> int:
    return sum(not _is_unknown(sample["event_type"]) for sample in samples().values())


def _told_examples() -> int:
    return sum(not _is_unknown(name.partition(" ")[2]) for name in examples() if " " in name)


def _is_unknown(event_type: str) -> bool:
    return any(fnmatchcase(event_type, name) for name in NOT_TOLD)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    return "\n".join(lines + [f"| {' | '.join(row)} |" for row in rows])


def _code(text: str) -> str:
    return f"`{text}`" if text else ""
