"""``/os-instance_usage_audit_log``: how far hosts are with telling what was used in a period (contract §11.1).

In Nova every host tells its own servers. Here the control plane does, for all hosts at once: a host is running while
its period is being told, and done with it.
"""

from collections.abc import Mapping
from typing import Any, Final

from kilonova.api.call import Call
from kilonova.api.routes import route
from kilonova.api.schemas.types import NOTHING
from kilonova.domain.audit import Period
from kilonova.domain.errors import Invalid
from kilonova.domain.model import Instant
from kilonova.store import audit, fleet
from kilonova.store.audit import AuditRun
from kilonova.wire.times import parse_spaced, spaced

_RULE: Final = "os_compute_api:os-instance-usage-audit-log:"


def index(call: Call) -> dict[str, Any]:
    """The last period that is over."""
    return {"instance_usage_audit_logs": _log(call, call.plane.now())}


def show(call: Call) -> dict[str, Any]:
    """The last period that was over before a time. Invalid, in Nova's words, for what is none."""
    text = call.params["before"]
    try:
        before = Instant(parse_spaced(text))
    except ValueError as error:
        raise Invalid(f"Invalid timestamp for date {text}") from error
    return {"instance_usage_audit_log": _log(call, before)}


def _log(call: Call, before: Instant) -> dict[str, Any]:
    period = call.plane.settings.audit_cycle.completed(before)
    with call.plane.database.read() as connection:
        hosts = sorted({service.host for service in fleet.list_services(connection, binary="nova-compute")})
        run = audit.find_run(connection, period)
        told = audit.count_told_by_host(connection, run) if run else {}
    return _report(period, hosts, run, told)


def _report(period: Period, hosts: list[str], run: AuditRun | None, told: Mapping[str | None, int]) -> dict[str, Any]:
    is_done = run is not None and run.finished_at is not None
    done = hosts if is_done else []
    log = {} if run is None else {host: _line(host, told.get(host, 0), run) for host in hosts}
    overall = (
        "ALL hosts done. 0 errors." if len(done) == len(hosts) else f"{len(done)} of {len(hosts)} hosts done. 0 errors."
    )
    return {
        "period_beginning": spaced(period.begin),
        "period_ending": spaced(period.end),
        "num_hosts": len(hosts),
        "num_hosts_done": len(done),
        "num_hosts_running": 0 if run is None or is_done else len(hosts),
        "num_hosts_not_run": len(hosts) if run is None else 0,
        "hosts_not_run": hosts if run is None else [],
        "total_instances": sum(line["instances"] for line in log.values()),
        "total_errors": 0,
        "overall_status": overall,
        "log": log,
    }


def _line(host: str, count: int, run: AuditRun) -> dict[str, Any]:
    if run.finished_at is None:
        return {"state": "RUNNING", "instances": count, "errors": 0, "message": f"Telling {count} instances so far."}
    seconds = (run.finished_at - run.started_at) / 1_000_000
    message = f"Instance usage audit ran for host {host}, {count} instances in {seconds:g} seconds."
    return {"state": "DONE", "instances": count, "errors": 0, "message": message}


ROUTES: Final = (
    route("GET", "/os-instance_usage_audit_log", index, policy=_RULE + "list", query=NOTHING),
    route("GET", "/os-instance_usage_audit_log/{before}", show, policy=_RULE + "show", query=NOTHING),
)
