"""The doctor says what is wrong and how to mend it; nothing is changed by looking."""

import fcntl
import json
import socket
import threading
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from kilonova.cli import main
from kilonova.cli.checkup import Finding, Status, machine, place
from kilonova.domain.model import SECOND, Instant
from kilonova.drivers import host, mending
from kilonova.drivers.instances.definition import Definition, Disk, DiskRole, save_definition
from kilonova.store.database import Database

GIB = 1 << 30
NOW = Instant(1_795_000_000_000_000)


class Usage(NamedTuple):
    """What ``shutil.disk_usage`` returns."""

    total: int
    used: int
    free: int


def told(finding: Finding) -> tuple[str, str]:
    """How bad it is, and how to mend it."""
    return finding.status.value, finding.mend


def examined(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, dict[str, Any]]]:
    """The doctor's exit status and findings."""
    with pytest.raises(SystemExit) as ended:
        main(["doctor", "-f", "json", *arguments])
    found = json.loads(capsys.readouterr().out)
    assert isinstance(ended.value.code, int)
    return ended.value.code, {each["check"]: each for each in found}


# --- the machine -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "flags, has_device, status, words",
    [
        ("fpu sse2", True, "warn", "no guest would boot on it"),
        ("fpu sse2", False, "warn", "nested virtualisation"),
        ("fpu vmx", False, "warn", "modprobe kvm_intel"),
        ("fpu svm", True, "ok", ""),
    ],
)
def test_kvm_is_decided_by_the_processors_flags(
    tmp_path: Path, flags: str, has_device: bool, status: str, words: str
) -> None:
    cpuinfo, device = tmp_path / "cpuinfo", tmp_path / "kvm"
    cpuinfo.write_text(f"flags : {flags}\n")
    if has_device:
        device.touch()
    finding = machine.kvm(lambda: host.find_accelerator(cpuinfo=cpuinfo, device=device), device=device)
    assert finding.status.value == status
    assert words in finding.mend


def test_kvm_that_this_user_may_not_open_is_mended_by_a_group() -> None:
    finding = machine.kvm(lambda: host.Accelerator("tcg", "this user may not open /dev/kvm"))
    assert told(finding) == ("warn", "usermod -aG kvm $USER, and sign in anew")


def test_a_missing_qemu_fails_unless_nothing_is_to_run() -> None:
    assert told(machine.qemu("auto", lambda: None)) == ("fail", host.INSTALL_LINE)
    assert machine.qemu("simulated", lambda: None).status is Status.NOTE
    there = host.QemuVersion("/usr/bin/qemu-system-x86_64", 7, 2, 22)
    assert "QEMU 7.2.22" in machine.qemu("auto", lambda: there).seen


def test_libvirt_is_looked_at_part_by_part_and_needed_only_where_it_is_wanted(tmp_path: Path) -> None:
    sockets = [tmp_path / "libvirt-sock"]

    def look(driver: str, *, program: str | None = "/usr/sbin/libvirtd", binding: bool = True) -> Finding:
        return machine.libvirt(driver, sockets=sockets, find_program=lambda _: program, has_binding=lambda: binding)

    assert look("auto", program=None).status is Status.NOTE
    assert "libvirt-daemon" in look("libvirt", program=None).mend
    assert look("libvirt").status is Status.FAIL
    assert "nothing answers" in look("auto").seen
    with socket.socket(socket.AF_UNIX) as daemon:
        daemon.bind(str(sockets[0]))
        daemon.listen()
        assert "libvirt-python" in look("libvirt", binding=False).mend
        assert look("libvirt").status is Status.OK


def test_in_a_checkout_libvirt_is_mended_by_its_own_target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def mends(checkout: Path | None) -> set[str]:
        """How each thing that may be wrong with libvirt is mended, a daemon answering or not."""
        sockets, nowhere = [tmp_path / "libvirt-sock"], [tmp_path / "nobody"]
        cases: tuple[dict[str, Any], ...] = (
            {"sockets": nowhere, "find_program": lambda _: None},
            {"sockets": nowhere, "find_program": lambda _: "/usr/sbin/libvirtd"},
            {"sockets": sockets, "find_program": lambda _: "/usr/sbin/libvirtd", "has_binding": lambda: False},
        )
        return {machine.libvirt("libvirt", checkout=checkout, **case).mend for case in cases}

    with socket.socket(socket.AF_UNIX) as daemon:
        daemon.bind(str(tmp_path / "libvirt-sock"))
        daemon.listen()
        assert mends(tmp_path) == {f"make -C {tmp_path} virt"}
        monkeypatch.chdir(tmp_path)
        assert mends(tmp_path) == {"make virt"}
        assert len(mends(None)) == 3
        assert not any("make" in mend for mend in mends(None))


def test_a_checkout_is_what_has_the_target_and_what_it_runs(tmp_path: Path) -> None:
    assert mending.find_checkout() == Path(mending.__file__).parents[2]
    assert mending.find_checkout(tmp_path / "site-packages" / "kilonova") is None
    (tmp_path / "Makefile").touch()
    assert mending.find_checkout(tmp_path / "kilonova") is None, "it is somebody else's"


def test_novnc_is_looked_for_and_nothing_fails_without_it(tmp_path: Path) -> None:
    missing = machine.novnc(str(tmp_path))
    assert (missing.status, str(tmp_path) in missing.seen) == (Status.NOTE, True)
    assert "apt-get install novnc" in missing.mend
    (tmp_path / "vnc_lite.html").touch()
    assert machine.novnc(str(tmp_path)).status is Status.OK
    assert machine.novnc("", lambda _: None).status is Status.NOTE


def test_little_memory_is_a_warning() -> None:
    assert machine.memory(lambda key: {"MemTotal": 2000, "MemAvailable": 1023}[key]).status is Status.WARN
    assert machine.memory(lambda _: 4096).status is Status.OK


@pytest.mark.parametrize(
    "ahead, state, status", [(0, 0, "ok"), (4, 0, "ok"), (6, 0, "fail"), (0, 5, "warn"), (0, None, "note")]
)
def test_the_clock_must_not_be_behind_the_journal_and_should_be_in_step(
    ahead: int, state: int | None, status: str
) -> None:
    newest = Instant(NOW + ahead * SECOND)
    assert machine.clock(NOW, newest, lambda: state).status.value == status


def test_the_kernel_is_asked_for_its_clock_without_changing_it() -> None:
    assert machine.kernel_clock() in (None, 0, 1, 2, 3, 4, 5)


# --- the place ---------------------------------------------------------------------------------------------


def test_a_disk_that_is_nearly_full_warns_and_a_full_one_fails(tmp_path: Path) -> None:
    for free, status in ((20 * GIB, "ok"), (5 * GIB, "warn"), (GIB // 2, "fail")):
        usage = Usage(100 * GIB, 0, free)
        assert place.disk(tmp_path / "later", dict.fromkeys([tmp_path], usage).__getitem__).status.value == status


def test_a_state_directory_that_others_may_enter_is_warned_of(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    assert [each.status.value for each in place.directory(tmp_path)] == ["ok", "warn"]
    tmp_path.chmod(0o700)
    assert [each.status.value for each in place.directory(tmp_path)] == ["ok", "ok"]


def test_what_is_no_directory_cannot_be_a_state_directory(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (finding,) = place.directory(tmp_path / "file")
    assert finding.status is Status.FAIL
    assert finding.mend


def test_a_state_directory_that_is_in_use_is_told_of(tmp_path: Path) -> None:
    assert not place.is_taken(tmp_path)
    with (tmp_path / "lock").open("w") as held:
        assert not place.is_taken(tmp_path)
        fcntl.flock(held, fcntl.LOCK_EX)
        assert place.is_taken(tmp_path)


def test_a_port_that_something_else_has_fails_and_one_that_a_kilonova_has_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        number = listener.getsockname()[1]
        assert place.port("127.0.0.1", number + 1 if number < 65535 else 0).status in (Status.OK, Status.FAIL)
        listener.listen()
        monkeypatch.setattr(place, "_ANSWER_SECONDS", 60.0)  # whoever listens here has this process to answer in
        answers = [b"SSH-2.0-hello\r\n", b"HTTP/1.1 200 OK\r\nContent-Type: application/health+json\r\n\r\n{}"]

        def serve() -> None:
            for answer in answers:
                line, _ = listener.accept()
                with line:
                    line.recv(1000)
                    line.sendall(answer)

        serving = threading.Thread(target=serve)
        serving.start()
        assert told(place.port("127.0.0.1", number)) == ("fail", "choose another with --port")
        assert place.port("127.0.0.1", number).status is Status.OK
        serving.join(60)


def test_a_database_is_looked_at_and_not_made(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'kilonova.sqlite'}"
    finding, seen = place.database(url)
    assert finding.status is Status.OK
    assert seen is not None
    assert list(tmp_path.iterdir()) == []
    database = Database(url)
    database.open()
    database.close()
    assert place.database(url)[0].seen.endswith(f"schema {place.database(url)[1].revision}")  # type: ignore[union-attr]


def test_a_database_that_is_damaged_foreign_or_out_of_reach_fails(tmp_path: Path) -> None:
    file = tmp_path / "kilonova.sqlite"
    url = f"sqlite:///{file}"
    file.write_bytes(b"no database at all")
    assert place.database(url)[0].status is Status.FAIL
    file.unlink()
    database = Database(url)
    database.open()
    database.close()
    whole = bytearray(file.read_bytes())
    whole[4096:12288] = b"\xff" * 8192
    file.write_bytes(whole)
    assert place.database(url)[0].status is Status.FAIL
    finding, _ = place.database("postgresql+psycopg://nobody:secret@127.0.0.1:1/none")
    assert finding.status is Status.FAIL
    assert "secret" not in finding.seen


def test_a_guest_without_its_disk_or_the_image_under_it_is_named(tmp_path: Path) -> None:
    directory = tmp_path / "qemu" / "instances" / "u1"
    directory.mkdir(parents=True)
    disk = Disk(role=DiskRole.ROOT, file="root.qcow2", format="qcow2", base="image")
    facts: dict[str, Any] = {"name": "i", "display_name": "d", "project_id": "p", "user_id": "u"}
    save_definition(directory, Definition(uuid="u1", vcpus=1, memory_mb=1, nics=(), disks=(disk,), **facts))
    assert "root.qcow2 is missing" in place.guests(tmp_path).seen
    (directory / "root.qcow2").touch()
    assert "images/image is missing" in place.guests(tmp_path).seen
    (tmp_path / "qemu" / "images").mkdir()
    (tmp_path / "qemu" / "images" / "image").touch()
    assert place.guests(tmp_path).status is Status.OK
    (directory / "guest.json").write_text("{")
    assert "cannot be read" in place.guests(tmp_path).seen


# --- the command -------------------------------------------------------------------------------------------


def test_the_command_finds_a_cloud_that_is_there_and_ends_well(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from tests.plane.house import lived_in

    tmp_path.chmod(0o700)
    with lived_in(tmp_path / "state") as house:
        image = house.image_id()
    where = ("--state-dir", str(tmp_path / "state"), "--port", "0", "--driver", "simulated")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "state").rglob("*") if "sqlite" not in path.name}
    status, found = examined(capsys, *where)
    after = {path: path.stat().st_mtime_ns for path in (tmp_path / "state").rglob("*") if "sqlite" not in path.name}
    assert before == after
    assert set(found) == {
        "settings", "kvm", "qemu", "libvirt", "memory", "user", "noVNC", "state directory", "permissions", "disk",
        "port", "database", "clock", "images", "guests",
    }  # fmt: skip
    assert found["images"]["status"] == "ok"
    # By which year this runs, the clock of the house is ahead or behind.
    assert status == any(each["status"] == "fail" for each in found.values())
    (tmp_path / "state" / "images" / image).unlink()
    assert image in examined(capsys, *where)[1]["images"]["seen"]


def test_the_command_ends_well_where_nothing_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, found = examined(capsys, "--state-dir", str(tmp_path / "new"), "--port", "0", "--driver", "simulated")
    assert status == 0, found
    assert not (tmp_path / "new").exists()


def test_settings_that_make_no_sense_are_a_finding(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "my.toml"
    file.write_text("[DEFAULT]\nreport_intervall = 5\n")
    status, found = examined(capsys, "--config-file", str(file))
    assert status == 1
    assert "report_interval" in found["settings"]["seen"]
