"""Large and broken uploads, against the image service in a process of its own."""

import hashlib
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.waiting import wait_until

pytestmark = pytest.mark.slow

MIB = 1 << 20
ROOT = Path(__file__).parents[2]
ADA = {"X-Auth-Token": "ada"}
PATIENCE_SECONDS = 100.0
"""With a service on a machine that has much else to do."""


@dataclass(frozen=True, kw_only=True)
class Server:
    """A running image service."""

    process: subprocess.Popen[str]
    port: int
    state: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/image/v2"

    def peak_mib(self) -> float:
        """The most memory that the process ever had resident."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        match = re.search(r"VmHWM:\s+(\d+) kB", status)
        assert match
        return int(match[1]) / 1024

    def create(self) -> str:
        wanted = {"name": "big", "disk_format": "raw", "container_format": "bare"}
        response = httpx.post(f"{self.url}/images", json=wanted, headers=ADA, timeout=PATIENCE_SECONDS)
        return str(response.json()["id"])

    def status(self, image_id: str) -> str:
        response = httpx.get(f"{self.url}/images/{image_id}", headers=ADA, timeout=PATIENCE_SECONDS)
        return str(response.json()["status"])


def start(state: Path) -> Server:
    command = [sys.executable, "-m", "tests.plane.image_server", str(state)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stdout
    return Server(process=process, port=int(process.stdout.readline()), state=state)


def stop(server: Server) -> None:
    server.process.kill()
    server.process.wait()
    if server.process.stdout:
        server.process.stdout.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = start(tmp_path)
    yield server
    stop(server)


def zeros(mebibytes: int) -> Iterator[bytes]:
    for _ in range(mebibytes):
        yield bytes(MIB)


def put(server: Server, image_id: str, content: Iterator[bytes]) -> httpx.Response:
    headers = {**ADA, "Content-Type": "application/octet-stream"}
    return httpx.put(f"{server.url}/images/{image_id}/file", content=content, headers=headers, timeout=PATIENCE_SECONDS)


def test_an_upload_and_a_download_of_300_mib_do_not_grow_memory(server: Server) -> None:
    warm_up, image_id = server.create(), server.create()
    assert put(server, warm_up, zeros(8)).status_code == 204
    before = server.peak_mib()
    assert put(server, image_id, zeros(300)).status_code == 204
    digest, size = hashlib.sha512(), 0
    where = f"{server.url}/images/{image_id}"
    with httpx.stream("GET", f"{where}/file", headers=ADA, timeout=PATIENCE_SECONDS) as response:
        for block in response.iter_bytes():
            digest.update(block)
            size += len(block)
    shown = httpx.get(where, headers=ADA, timeout=PATIENCE_SECONDS).json()
    assert (size, digest.hexdigest()) == (300 * MIB, shown["os_hash_value"])
    assert server.peak_mib() - before < 24


def begin(server: Server, image_id: str) -> socket.socket:
    """Send the head and two mebibytes of an upload that announces more."""
    connection = socket.create_connection(("127.0.0.1", server.port))
    head = (
        f"PUT /image/v2/images/{image_id}/file HTTP/1.1\r\nHost: x\r\nX-Auth-Token: ada\r\n"
        f"Content-Type: application/octet-stream\r\nContent-Length: {100 * MIB}\r\n\r\n"
    )
    connection.sendall(head.encode() + bytes(2 * MIB))
    wait_until(lambda: server.status(image_id) == "saving", "the upload to begin")
    return connection


def test_a_client_that_hangs_up_leaves_an_image_that_waits_for_data(server: Server) -> None:
    image_id = server.create()
    begin(server, image_id).close()
    wait_until(lambda: server.status(image_id) == "queued", "the image to wait for data")
    assert list((server.state / "images").iterdir()) == []
    assert put(server, image_id, zeros(1)).status_code == 204


def test_a_service_killed_in_an_upload_leaves_nothing_half_written(server: Server) -> None:
    image_id, whole = server.create(), server.create()
    put(server, whole, zeros(1))
    with begin(server, image_id):
        stop(server)
    again = start(server.state)
    try:
        assert [again.status(each) for each in (image_id, whole)] == ["queued", "active"]
        assert [path.name for path in (again.state / "images").iterdir()] == [whole]
    finally:
        stop(again)
