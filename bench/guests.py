"""What a tiny guest costs its host under each driver of real machines, in one run, one after the other.

    .venv/bin/python -m bench.guests [--guests 20] [--libvirt-uri qemu:///system] [--markdown bench/GUESTS.md]

The flavor is m1.nano (64 MB), the image the tiny guest, without a card. Each driver boots ten guests one after the
other (POST to the first GET that says ACTIVE), then as many as asked for, which then do nothing. Memory is that of the
guests' QEMU processes: resident (RSS), their share of what is shared (PSS), and by how much the host's MemAvailable
fell; the processor time is theirs over 20 s.
"""

import argparse
import contextlib
import json
import os
import re
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bench.plane import Client, boot_once, rss_mb, signed_in, started

IDLE_SECONDS = 20
_TICKS = os.sysconf("SC_CLK_TCK")
_NO_LIMIT = {
    "KILONOVA_QUOTA__INSTANCES": "-1",
    "KILONOVA_QUOTA__CORES": "-1",
    "KILONOVA_QUOTA__RAM": "-1",
    "KILONOVA_DEFAULT__CPU_ALLOCATION_RATIO": "100",
}


def boot_all(client: Client, image: str, count: int) -> list[str]:
    """Boot so many and wait until all are ACTIVE; their uuids."""
    order = {"name": "idle", "flavorRef": "42", "imageRef": image, "networks": "none"}
    uuids = []
    for _ in range(count):
        status, body, _ = client.request("POST", "/compute/v2.1/servers", {"server": order})
        assert status == 202, body
        uuids.append(json.loads(body)["server"]["id"])
    for uuid in uuids:
        while (shown := _status(client, uuid)) != "ACTIVE":
            if shown == "ERROR":
                raise SystemExit(_fault(client, uuid))
            time.sleep(0.05)
    return uuids


def _status(client: Client, uuid: str) -> str:
    return str(json.loads(client.request("GET", f"/compute/v2.1/servers/{uuid}")[1])["server"]["status"])


def _fault(client: Client, uuid: str) -> str:
    return str(json.loads(client.request("GET", f"/compute/v2.1/servers/{uuid}")[1])["server"]["fault"]["message"])


def remove_all(client: Client, uuids: Sequence[str]) -> None:
    """Delete them and wait until they are gone."""
    for uuid in uuids:
        client.request("DELETE", f"/compute/v2.1/servers/{uuid}")
    for uuid in uuids:
        while client.request("GET", f"/compute/v2.1/servers/{uuid}")[0] != 404:
            time.sleep(0.05)


def pids_of(uuids: Sequence[str]) -> list[int]:
    """The QEMU processes of these guests."""
    wanted, found = set(uuids), []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            words = (entry / "cmdline").read_text(errors="replace").split("\0") if entry.name.isdigit() else []
            if "-uuid" in words and words[words.index("-uuid") + 1] in wanted:
                found.append(int(entry.name))
    return found


def pss_mb(pid: int) -> float:
    """Its proportional share of memory, in MB of 10^6 bytes."""
    found = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    assert found
    return int(found.group(1)) * 1024 / 1e6


def available_mb() -> float:
    """What the kernel says is there for more, in MB of 10^6 bytes."""
    found = re.search(r"MemAvailable:\s+(\d+) kB", Path("/proc/meminfo").read_text())
    assert found
    return int(found.group(1)) * 1024 / 1e6


def cpu_seconds(pid: int) -> float:
    """User and system time that the process took so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def measure(driver: str, count: int) -> list[tuple[str, str]]:
    """All figures of one driver."""
    with tempfile.TemporaryDirectory() as directory, started(Path(directory), driver) as (port, _, _):
        client = signed_in(Path(directory), port)
        image = json.loads(client.request("GET", "/image/v2/images")[1])["images"][0]["id"]
        boots = [boot_once(client, image, f"one{number}") for number in range(10)]
        before, began = available_mb(), time.perf_counter()
        uuids = boot_all(client, image, count)
        together, fell = time.perf_counter() - began, (before - available_mb()) / count
        pids = pids_of(uuids)
        assert len(pids) == count
        spent = sum(map(cpu_seconds, pids))
        time.sleep(IDLE_SECONDS)
        idle = (sum(map(cpu_seconds, pids)) - spent) / IDLE_SECONDS / count
        figures = [
            ("POST to ACTIVE, median of 10", f"{statistics.median(boots):.2f} s"),
            (f"{count} asked for at once, until all are ACTIVE", f"{together:.1f} s"),
            ("RSS of a guest's QEMU, mean", f"{statistics.mean(map(rss_mb, pids)):.0f} MB"),
            ("PSS of it, mean", f"{statistics.mean(map(pss_mb, pids)):.0f} MB"),
            ("fall of MemAvailable for each guest", f"{fell:.0f} MB"),
            ("processor of a guest that does nothing", f"{idle * 100:.2f} % of one"),
            ("so many would fit into what was available", f"{before / fell:.0f}"),
        ]
        remove_all(signed_in(Path(directory), port), uuids)  # the old connection was let go meanwhile
        return figures


def main() -> None:
    """Measure and print, and write where told."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--guests", type=int, default=20)
    parser.add_argument("--libvirt-uri", default="qemu:///system")
    parser.add_argument("--markdown", type=Path)
    wanted = parser.parse_args()
    os.environ.update(_NO_LIMIT | {"KILONOVA_LIBVIRT__CONNECTION_URI": wanted.libvirt_uri})
    qemu, libvirt = measure("qemu", wanted.guests), measure("libvirt", wanted.guests)
    lines = ["| tiny guests, 64 MB, without KVM | qemu | libvirt |", "|---|---|---|"]
    lines += [f"| {what} | {ours} | {theirs} |" for (what, ours), (_, theirs) in zip(qemu, libvirt, strict=True)]
    print("\n".join(lines))
    if wanted.markdown:
        load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
        head = "# What a guest costs\n\nBy `python -m bench.guests`"
        note = f"{head}, on {os.cpu_count()} cores whose load was {load} at the end.\n\n"
        wanted.markdown.write_text(note + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
