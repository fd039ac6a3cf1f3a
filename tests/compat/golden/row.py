"""What a row of the tables says."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Row:
    """How a kind of sample is asked for.

    ``body`` is what is sent along with a question, literally, or the name of the request sample that belongs to it;
    words in braces are filled in as they are in ``path``. A sample whose name says another microversion than its
    folder has it as ``version``. ``is_admin`` None lets the sample tell: a server without its host is an ordinary
    user's view. ``exact`` compares values too, but
    for descriptions. ``since`` is the first microversion that the row is for: of several
    rows of one kind the last counts. ``is_free`` says that the keys of the body are the driver's own.
    """

    kind: str
    method: str
    path: str
    is_request: bool
    body: Any = None
    version: str | None = None
    is_admin: bool | None = None
    exact: bool = False
    since: str = "2.1"
    is_free: bool = False


def shows(kind: str, ask: str, body: Any = None, **more: Any) -> Row:
    """A sample of what is answered."""
    method, path = ask.split(" ", 1)
    return Row(kind, method, path, is_request=False, body=body, **more)


def sends(kind: str, ask: str, **more: Any) -> Row:
    """A sample of what is sent."""
    method, path = ask.split(" ", 1)
    return Row(kind, method, path, is_request=True, **more)
