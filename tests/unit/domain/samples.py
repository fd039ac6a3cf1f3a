"""Records to test with: one server that runs, and whatever a test wants different about it."""

from typing import Any

from kilonova.domain.model import Instance, Instant
from kilonova.domain.states import PowerState, VmState

UUID = "5b2e6bd6-6d2c-4b54-9b3e-7f2d9c1f4a10"
NOW = Instant(1_795_344_849_000_000)


def instance(**different: Any) -> Instance:
    """Give a running server of one virtual CPU on host ``cmp1``, with the columns that are ``different``."""
    return Instance(
        id=42,
        uuid=UUID,
        generation=1,
        project_id="p1",
        user_id="u1",
        display_name="web1",
        hostname="web1",
        vm_state=VmState.ACTIVE,
        task_state=None,
        power_state=PowerState.RUNNING,
        host="cmp1",
        node="cmp1",
        flavor_id=1,
        flavorid="1",
        flavor_name="m1.tiny",
        flavor_json="{}",
        vcpus=1,
        memory_mb=512,
        root_gb=1,
        ephemeral_gb=0,
        swap_mb=0,
        image_ref="",
        image_json="{}",
        metadata_json="{}",
        tags_json="[]",
        addresses_json="{}",
        security_groups_json="[]",
        volumes_json="[]",
        created_at=Instant(NOW - 60_000_000),
        updated_at=None,
        launched_at=Instant(NOW - 50_000_000),
        terminated_at=None,
        deleted_at=None,
    )._replace(**different)
