"""Every microversion of Nova, what it changed in one sentence, and where Kilonova stands on it.

Verdicts: ``DONE``, what Kilonova has behaves so from this version on; ``INERT``, the version concerns only what
Kilonova does not have, and says so itself (501, or an empty list) at every version; ``ABSENT``, Kilonova has the thing
and does not behave so yet. The advertised maximum is the last version before the first absent one (decision 0004).
"""

from collections.abc import Iterable
from enum import Enum
from typing import Final, NamedTuple

from kilonova.wire.version import MIN, Microversion


class Verdict(Enum):
    """Where Kilonova stands on a microversion."""

    DONE = "done"
    INERT = "inert"
    ABSENT = "absent"


class Step(NamedTuple):
    """One microversion, what it changed, and the verdict."""

    version: Microversion
    says: str
    verdict: Verdict


_D, _I, _A = Verdict.DONE, Verdict.INERT, Verdict.ABSENT

_ROWS: Final[tuple[tuple[Verdict, str], ...]] = (
    (_D, "The base: what Nova's API v2 was, with strict input."),
    (_D, "Key pairs have a type; creating answers 201, deleting 204."),
    (_D, "Administrators see host name, reservation, root device and user data; volumes tell whether they go too."),
    (_I, "Fixed IPs told whether they are reserved; the API is gone."),
    (_D, "Users may filter servers by IPv6 address."),
    (_D, "Remote consoles are asked for with POST remote-consoles."),
    (_D, "Giving a project access to a public flavor is a conflict."),
    (_I, "Remote consoles of the kind mks."),
    (_D, "Servers tell whether they are locked."),
    (_D, "Administrators manage the key pairs of other users."),
    (_D, "Services tell whether they are forced down."),
    (_I, "Virtual interfaces told their network; the API is gone."),
    (_D, "Server groups tell their project and user."),
    (_D, "Evacuate finds out by itself whether storage is shared, and returns no password."),
    (_D, "Server groups know soft affinity and soft anti-affinity."),
    (_D, "Servers tell the state of their host to those who may know."),
    (_D, "A crash dump of a server can be triggered."),
    (_D, "The project may be left out of URLs."),
    (_D, "Servers have a description."),
    (_I, "Volumes are attached to and detached from shelved servers."),
    (_D, "The actions of deleted servers can be read."),
    (_D, "A live migration can be forced to complete."),
    (_D, "The migrations of a server can be listed and shown."),
    (_D, "A live migration can be aborted."),
    (_D, "Live migration decides by itself whether to copy disks."),
    (_D, "Servers have tags, and lists filter by them."),
    (_D, "The header OpenStack-API-Version chooses the microversion."),
    (_D, "A hypervisor's cpu_info is an object, no longer a string."),
    (_D, "Evacuate to a named host is checked by the scheduler unless forced."),
    (_D, "Live migration to a named host is checked by the scheduler unless forced."),
    (_D, "Tokens of all kinds of consoles can be looked up."),
    (_D, "Networks and block devices may be tagged when a server is created."),
    (_D, "Hypervisors are listed in pages."),
    (_D, "Live migration is checked after the reply, not before it."),
    (_D, "Key pairs are listed in pages."),
    (_D, "Images, networks, volumes and security groups are no longer passed on; their limits are gone."),
    (_D, "Networks must be named when a server is created, and may be auto or none."),
    (_D, "Filtering servers by a status that does not exist is an error."),
    (_D, "Image metadata is no longer passed on; its limit is gone."),
    (_D, "Usage is listed in pages."),
    (_D, "Aggregates have a UUID."),
    (_D, "Networks and block devices may again be tagged, at last for the whole life of the server."),
    (_D, "os-hosts is gone."),
    (_I, "Fixed and floating IPs are no longer added or removed through servers."),
    (_D, "Creating an image answers with its id in the body."),
    (_D, "The request id has the header X-OpenStack-Request-ID."),
    (_D, "Servers embed their flavor as it was at boot."),
    (_D, "Diagnostics have one form for all hypervisors."),
    (_I, "Interfaces and volumes may be tagged when they are attached."),
    (_D, "Quota classes know server groups, and no longer networks."),
    (_D, "The events of an action are shown to whoever may see the action."),
    (_D, "Servers may be tagged when they are created."),
    (_D, "Services and hypervisors are known by UUID; searching and showing servers became parameters."),
    (_D, "Rebuild may change the key pair."),
    (_D, "Flavors have a description."),
    (_D, "Cold migration to a named host."),
    (_D, "Files are no longer injected; rebuild may change the user data."),
    (_D, "Actions tell when they last moved, and are listed in pages and by time."),
    (_D, "Migrations have a UUID, and are listed in pages and by time."),
    (_I, "A volume may be attached to several servers."),
    (_D, "Flavors show their extra specs."),
    (_D, "Events tell their host to administrators, and its hash to everybody."),
    (_D, "Servers keep which certificates their images are to be signed by; what is not verified does not boot."),
    (_D, "Server groups have one policy, with rules."),
    (_D, "A live migration that waits can be aborted."),
    (_D, "Servers, actions and migrations are listed up to a time."),
    (_I, "The type of a boot volume can be chosen."),
    (_D, "Evacuate and live migration can no longer be forced."),
    (_I, "Where a cell does not answer, lists hold what is known of its servers."),
    (_D, "Attached volumes and interfaces show their tags."),
    (_D, "Servers tell their server group."),
    (_I, "Ports may ask for bandwidth."),
    (_D, "A lock may have a reason, and servers are listed by lock."),
    (_D, "Administrators may ask for a host or a hypervisor when they create a server."),
    (_D, "Unknown query parameters are errors, and every reply shows a server in full."),
    (_D, "Changes of power can be reported from outside."),
    (_D, "Unshelve to an availability zone."),
    (_D, "The NUMA topology of a server can be read."),
    (_I, "A volume may be told to go with its server when it is attached."),
    (_D, "Migrations tell user and project."),
    (_D, "Images can be cached ahead on the hosts of an aggregate."),
    (_I, "Accelerators report that they are bound."),
    (_D, "Users may filter servers by most of what they see of them."),
    (_D, "Events of an action have details for administrators."),
    (_I, "Whether an attached volume goes with its server can be changed."),
    (_D, "Extra specs of flavors are checked."),
    (_I, "Servers that boot from a volume can be rescued."),
    (_D, "Hypervisors tell their uptime and no longer their capacity."),
    (_I, "Attached volumes tell their attachment."),
    (_D, "Servers have a host name that their owner chooses."),
    (_D, "Unshelve to a host, and out of a zone."),
    (_D, "Key pairs are no longer generated, and their names may look like mail addresses."),
    (_I, "Servers that boot from a volume can be rebuilt with another image."),
    (_D, "A host name may be a full domain name."),
    (_D, "Evacuated servers stay stopped."),
    (_D, "Servers tell the zone that they are pinned to."),
    (_I, "Shares can be attached."),
    (_D, "Servers show the properties of their image."),
    (_I, "SPICE consoles can be reached directly."),
    (_D, "Servers show the scheduler hints that they were created with."),
    (_I, "Attaching a volume answers before it is done."),
    (_D, "The last lenient queries became strict; flavors lost two fields and are found by name."),
    (_D, "os-volumes_boot is gone."),
    (_D, "A server can be unpinned from its zone, and pinned to it again."),
)

HISTORY: Final = tuple(
    Step(Microversion(2, minor), says, verdict) for minor, (verdict, says) in enumerate(_ROWS, start=1)
)
"""Every microversion, in order."""


def advertised(steps: Iterable[Step]) -> Microversion:
    """The last version up to which none is absent."""
    maximum = MIN
    for step in steps:
        if step.verdict is Verdict.ABSENT:
            break
        maximum = step.version
    return maximum


MAXIMUM: Final = advertised(HISTORY)
"""What version documents advertise, what ``latest`` means, and where 406 begins."""
