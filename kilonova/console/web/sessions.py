"""Who is signed in: kept here, never in the browser, which holds nothing but a number that nobody can guess."""

import hmac
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from kilonova.console.board import Samples
from kilonova.console.client import Client
from kilonova.console.intake import Notices

_MOST: Final = 1000
_SECONDS: Final = 8 * 3600.0


@dataclass(slots=True, kw_only=True)
class Session:
    """One browser of one person. ``form_token`` has to come with every form (against forged requests).

    ``samples`` and ``notices`` are everybody's: what is in them is shown only after the thing itself was, to whom may
    see it. ``notices`` is None where no message bus is heard.
    """

    id: str
    client: Client
    user: str
    project: str
    is_admin: bool
    form_token: str
    expires_at: float
    samples: Samples
    notices: Notices | None

    def owns(self, form_token: str) -> bool:
        """Whether a form was made by this session."""
        return hmac.compare_digest(self.form_token, form_token)


class Sessions:
    """All of them, in memory: a restart signs everybody out. ``clock`` tells seconds that never go back."""

    def __init__(self, clock: Callable[[], float], notices: Notices | None = None) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._samples = Samples()
        self._notices = notices
        self._known: OrderedDict[str, Session] = OrderedDict()

    def add(self, client: Client, *, user: str, project: str, is_admin: bool) -> Session:
        """A new one; the one that was idle for longest gives way where there are too many."""
        session = Session(
            id=secrets.token_urlsafe(32),
            client=client,
            user=user,
            project=project,
            is_admin=is_admin,
            form_token=secrets.token_urlsafe(32),
            expires_at=self._clock() + _SECONDS,
            samples=self._samples,
            notices=self._notices,
        )
        with self._lock:
            self._known[session.id] = session
            gone = self._known.popitem(last=False)[1] if len(self._known) > _MOST else None
        if gone is not None:
            gone.client.close()
        return session

    def find(self, id: str | None) -> Session | None:
        """The session of this number, which then lasts longer again; None where there is none."""
        with self._lock:
            session = self._known.get(id or "")
            if session is None:
                return None
            if session.expires_at < self._clock():
                del self._known[session.id]
                session.client.close()
                return None
            self._known.move_to_end(session.id)
            session.expires_at = self._clock() + _SECONDS
        return session

    def remove(self, session: Session) -> None:
        """Sign out."""
        with self._lock:
            self._known.pop(session.id, None)
        session.client.close()
