"""The bare limit: one SELECT of the instances' rows and their encoding as JSON, behind the same HTTP server.

    python -m bench.bare DATABASE PROJECT

Prints its port. ``GET /UUID`` is one row, ``GET /`` every living row of the project, newest first; ``GET /-/services``
is every service, ``GET /-/nodes`` the first 1000 nodes with theirs. The rows are the whole rows, as Kilonova reads
them; documents that are JSON already go out as they are.
"""

import socket
import sqlite3
import sys
from typing import Any

import msgspec
import uvicorn

PATH, PROJECT = sys.argv[1], sys.argv[2]
DATABASE = sqlite3.connect(f"file:{PATH}?mode=ro", uri=True, check_same_thread=False)
COLUMNS = [row[1] for row in DATABASE.execute("PRAGMA table_info(instances)")]
DOCUMENTS = [index for index, name in enumerate(COLUMNS) if name.endswith("_json")]
NAMES = ", ".join(COLUMNS)
ONE = f"SELECT {NAMES} FROM instances WHERE uuid = ?"  # noqa: S608
ALL = (
    f"SELECT {NAMES} FROM instances WHERE project_id = ? AND deleted_at IS NULL "  # noqa: S608
    "ORDER BY created_at DESC, id DESC LIMIT 1000"
)
FLEET = {
    "-/services": "SELECT * FROM services ORDER BY id",
    "-/nodes": (
        "SELECT n.*, s.id AS service_id, s.uuid AS service_uuid, s.disabled, s.disabled_reason, s.forced_down, "
        "s.last_seen_at FROM compute_nodes AS n JOIN services AS s ON s.host = n.host AND s.binary = 'nova-compute' "
        "ORDER BY n.id LIMIT 1000"
    ),
}
ENCODER = msgspec.json.Encoder()


def view(row: tuple[Any, ...]) -> dict[str, Any]:
    """The row as an object."""
    shown = dict(zip(COLUMNS, row, strict=True))
    for index in DOCUMENTS:
        if row[index] is not None:
            shown[COLUMNS[index]] = msgspec.Raw(row[index])
    return shown


def servers(key: str) -> dict[str, Any]:
    """One server, or all."""
    found = DATABASE.execute(ONE, (key,)) if key else DATABASE.execute(ALL, (PROJECT,))
    return {"servers": [view(row) for row in found.fetchall()]}


def fleet(statement: str) -> dict[str, Any]:
    """All rows of a statement, as objects."""
    found = DATABASE.execute(statement)
    names = [column[0] for column in found.description]
    return {"rows": [dict(zip(names, row, strict=True)) for row in found.fetchall()]}


async def application(scope: Any, _receive: Any, send: Any) -> None:
    """Answer one request."""
    key = scope["path"][1:]
    body = ENCODER.encode(fleet(FLEET[key]) if key in FLEET else servers(key))
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


if __name__ == "__main__":
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    config = uvicorn.Config(application, loop="uvloop", http="httptools", lifespan="off", log_config=None)
    uvicorn.Server(config).run(sockets=[listener])
