"""Passwords: argon2id hashes, and a brake against guessing.

A hash takes 19 MiB and two passes (OWASP's first recommendation for argon2id). All are computed in one thread, one
after another: a burst of sign-ins then costs time rather than memory, which the C library would keep for every
thread that ever computed one.
"""

import threading
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from kilonova.domain.model import SECOND, Instant

_NOBODY: Final = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"


class Passwords:
    """Hashes and verifies; safe to share between threads."""

    def __init__(self) -> None:
        self._hasher = PasswordHasher(time_cost=2, memory_cost=19456, parallelism=1)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="passwords")

    def hash(self, password: str) -> str:
        """The argon2 string to keep."""
        return self._thread.submit(self._hasher.hash, password).result()

    def verify(self, password_hash: str | None, password: str) -> bool:
        """Whether the password is the one that was hashed.

        Without a hash (no such user, or no password set) it takes as long and says False, so that the time taken
        does not tell which names exist.
        """
        try:
            self._thread.submit(self._hasher.verify, password_hash or _NOBODY, password).result()
        except (VerificationError, InvalidHashError):
            return False
        return password_hash is not None

    def is_outdated(self, password_hash: str) -> bool:
        """Whether the hash was made with other parameters than today's and should be made anew."""
        return self._hasher.check_needs_rehash(password_hash)


class GuessBrake:
    """Counts failures per name: past ``most`` within a window of ``window_seconds``, no further guess is looked at.

    A failure that falls outside the window starts a new one. Whoever knows a name can thereby keep its owner from
    signing in for a window at a time, though not from using the tokens they have. The memory is bounded: the names
    that failed longest ago are forgotten first.
    """

    def __init__(self, *, most: int = 10, window_seconds: float = 60, names: int = 4096) -> None:
        self._most = most
        self._window = window_seconds * SECOND
        self._names = names
        self._failures: OrderedDict[str, tuple[Instant, int]] = OrderedDict()
        self._lock = threading.Lock()

    def is_on(self, name: str, now: Instant) -> bool:
        """Whether guesses at this name are refused unseen right now."""
        with self._lock:
            since, count = self._failures.get(name, (now, 0))
            return count >= self._most and now - since < self._window

    def failed(self, name: str, now: Instant) -> int:
        """Count a failure; how many that makes in this window."""
        with self._lock:
            since, count = self._failures.pop(name, (now, 0))
            since, count = (since, count + 1) if now - since < self._window else (now, 1)
            self._failures[name] = (since, count)
            if len(self._failures) > self._names:
                self._failures.popitem(last=False)
            return count

    def succeeded(self, name: str) -> None:
        """Forget the failures of this name."""
        with self._lock:
            self._failures.pop(name, None)
