"""Which hosts this machine stands for, and the driver of each."""

from collections.abc import Sequence
from pathlib import Path

from kilonova.config import Settings
from kilonova.domain.errors import SettingsUnusable
from kilonova.drivers.protocol import Driver


def drivers_of(name: str, settings: Settings, state_dir: Path) -> Sequence[tuple[str, Driver]]:
    """The hosts by name, each with its driver; with ``simulate_hosts`` there are several on this machine."""
    hosts = _hosts(settings)
    made = {"qemu": _qemu, "libvirt": _libvirt, "simulated": _simulated}
    return made[name](hosts, settings, state_dir)


def moves_at_home(name: str, settings: Settings) -> bool:
    """Whether servers are resized on the host that they are on, because there is no other and never will be."""
    return name != "simulated" and settings.kilonova.simulate_hosts == 1


def _hosts(settings: Settings) -> list[str]:
    host, number = settings.DEFAULT.host, settings.kilonova.simulate_hosts
    return [host] if number == 1 else [f"{host}-{n}" for n in range(1, number + 1)]


def _qemu(hosts: Sequence[str], settings: Settings, state_dir: Path) -> Sequence[tuple[str, Driver]]:
    """Each host has a directory of its own, and its part of the machine."""
    from kilonova.drivers.qemu.driver import QemuDriver

    is_alone = len(hosts) == 1
    return [
        (
            host,
            QemuDriver(
                state_dir=state_dir / "qemu" if is_alone else state_dir / "qemu-hosts" / host,
                node=host,
                shares=len(hosts),
                images=settings.image_cache,
                patience=settings.libvirt.patience,
            ),
        )
        for host in hosts
    ]


def _libvirt(hosts: Sequence[str], settings: Settings, state_dir: Path) -> Sequence[tuple[str, Driver]]:
    """Each host has a directory of its own, and a daemon of its own where the settings name as many."""
    from kilonova.drivers.libvirt.driver import LibvirtDriver

    state_dir.chmod(0o711)  # for a QEMU of another user; each file in it is its owner's alone
    is_alone = len(hosts) == 1
    uris = settings.libvirt.uris or ("qemu:///system",)
    if len(uris) not in (1, len(hosts)):
        raise SettingsUnusable(f"connection_uri in [libvirt] names {len(uris)} daemons for {len(hosts)} hosts.")
    return [
        (
            host,
            LibvirtDriver(
                state_dir=state_dir / "libvirt" if is_alone else state_dir / "libvirt-hosts" / host,
                node=host,
                uri=uris[number % len(uris)],
                settings=settings.libvirt,
                shares=len(hosts),
                images=settings.image_cache,
            ),
        )
        for number, host in enumerate(hosts)
    ]


def _simulated(hosts: Sequence[str], settings: Settings, state_dir: Path) -> Sequence[tuple[str, Driver]]:
    from kilonova.drivers.simulated import Capacity, Scenario, StagedDriver, Timed, load_scenario

    process = settings.kilonova
    scenario = load_scenario(Path(process.scenario)) if process.scenario else Scenario()
    has = Capacity()
    return [
        (
            one,
            StagedDriver(
                one,
                scenario,
                nodes=_nodes(one, process.simulate_nodes),
                state_dir=state_dir / "simulated" / one,
                pace=Timed(process.simulate_pace),
                capacity=has,
            ),
        )
        for one in hosts
    ]


def _nodes(host: str, number: int) -> tuple[str, ...]:
    return (host,) if number == 1 else tuple(f"{host}-node{n}" for n in range(1, number + 1))
