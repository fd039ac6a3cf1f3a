"""The embedded identity service: sign-ins, and what a token stands for."""

import base64
import hashlib
import logging
import secrets
import threading
import uuid
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import Final

from kilonova.domain.accounts import Domain, Project, Role, Token, User
from kilonova.domain.errors import NotFound, Unauthenticated
from kilonova.domain.model import Clock, Instant, after
from kilonova.identity.caller import ADMIN, Caller, implied
from kilonova.identity.passwords import GuessBrake, Passwords
from kilonova.identity.records import IdentityRecords
from kilonova.identity.signin import REFUSED, Reference, SignIn

_LOG: Final = logging.getLogger(__name__)
_CACHED: Final = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """What a valid token stands for, resolved; ``roles`` has the implied ones, sorted by name."""

    token: Token
    user: User
    user_domain: Domain
    project: Project | None
    project_domain: Domain | None
    roles: tuple[Role, ...]

    def caller(self) -> Caller:
        """The same, as request handlers get it."""
        names = frozenset(role.name for role in self.roles)
        return Caller(
            user_id=self.user.id,
            user_name=self.user.name,
            user_domain_id=self.user.domain_id,
            project_id=self.project.id if self.project else None,
            project_name=self.project.name if self.project else None,
            project_domain_id=self.project.domain_id if self.project else None,
            roles=names,
            is_admin=ADMIN in names,
            token_expires_at=self.token.expires_at,
        )


class EmbeddedIdentity:
    """Issues, resolves and revokes tokens; is the seam's ``Identity``. Safe to share between threads.

    ``token_seconds`` is Keystone's ``[token] expiration``. ``cache_seconds`` bounds how long another process's
    revocation, or grant taken away, goes unnoticed here; this process's own are noticed at once.
    """

    def __init__(
        self, records: IdentityRecords, *, clock: Clock, token_seconds: int = 3600, cache_seconds: float = 5
    ) -> None:
        self.records = records
        self.passwords = Passwords()
        self.clock = clock
        self._token_seconds = token_seconds
        self._cache = _CallerCache(cache_seconds)
        self._brake = GuessBrake()

    def authenticate(self, token: str) -> Caller:
        """The caller who holds ``token``. Unauthenticated where it is unknown, expired or revoked."""
        now = self.clock()
        digest = digest_of(token)
        caller = self._cache.find(digest, now)
        if caller is None:
            epoch = self._cache.epoch
            session = self._resolve(digest, now)
            if session is None:
                raise Unauthenticated(REFUSED)
            caller = session.caller()
            self._cache.keep(digest, caller, now, epoch)
        return caller

    def sign_in(self, request: SignIn) -> tuple[str, Session]:
        """A new token with what it stands for. Unauthenticated for whatever reason it is refused."""
        now = self.clock()
        base = self._base(request, now)
        user = self._prove(request, base)
        project = self._scope(request, user)
        methods = (("password",) if request.user else ()) + (base.methods if base else ())
        if base and "token" not in methods:
            methods = ("token", *methods)
        text = secrets.token_urlsafe(32)
        token = Token(
            digest=digest_of(text),
            user_id=user.id,
            project_id=project.id if project else None,
            methods=tuple(dict.fromkeys(methods)),
            audit_ids=(_audit_id(), *(base.audit_ids[-1:] if base else ())),
            issued_at=now,
            expires_at=base.expires_at if base else after(now, self._token_seconds),
        )
        session = self._session(token)
        if session is None:
            raise Unauthenticated(REFUSED)
        self.records.add_token(token)
        return text, session

    def show(self, token: str) -> Session:
        """What a token stands for. NotFound where it is unknown, expired or revoked."""
        session = self._resolve(digest_of(token), self.clock())
        if session is None:
            raise NotFound("Could not find token.")
        return session

    def revoke(self, token: str) -> None:
        """End a token now. NotFound where there is no such living token."""
        digest = digest_of(token)
        found = self.records.revoke_token(digest, self.clock())
        self.forget()
        if not found:
            raise NotFound("Could not find token.")

    def check_password(self, reference: Reference, password: str) -> User:
        """The user whose password this is; its hash is made anew where today's would be another kind.

        Unauthenticated where it is wrong, the user unknown or disabled, or too many guesses were made.
        """
        now = self.clock()
        user = self._find_user(reference)
        name = user.id if user else f"{reference.id!r}/{reference.name!r}"[:128]
        if self._brake.is_on(name, now):
            raise Unauthenticated(REFUSED)
        usable = user if user and user.enabled else None
        if not self.passwords.verify(usable.password_hash if usable else None, password) or usable is None:
            if self._brake.failed(name, now) == 1:
                _LOG.warning("a sign-in was refused", extra={"user": name})
            raise Unauthenticated(REFUSED)
        self._brake.succeeded(name)
        if usable.password_hash and self.passwords.is_outdated(usable.password_hash):
            usable = replace(usable, password_hash=self.passwords.hash(password))
            self.records.update_user(usable)
        return usable

    def forget(self) -> None:
        """Drop what was remembered of tokens; called after every change to accounts."""
        self._cache.clear()

    def purge_expired(self, now: Instant) -> int:
        """Drop the tokens that expired before ``now``; how many those were. Revoked ones stay until they expire."""
        return self.records.purge_tokens(now)

    def _base(self, request: SignIn, now: Instant) -> Token | None:
        if request.token is None:
            return None
        session = self._resolve(digest_of(request.token), now)
        if session is None:
            raise Unauthenticated(REFUSED)
        return session.token

    def _prove(self, request: SignIn, base: Token | None) -> User:
        user = self.check_password(request.user, request.password) if request.user else None
        if base is not None:
            if user is not None and user.id != base.user_id:
                raise Unauthenticated(REFUSED)
            user = self.records.find_user(base.user_id)
        if user is None:
            raise Unauthenticated(REFUSED)
        return user

    def _find_user(self, reference: Reference) -> User | None:
        if reference.id is not None:
            return self.records.find_user(reference.id)
        domain = self._find_domain(reference)
        return self.records.find_user_by_name(reference.name or "", domain.id) if domain else None

    def _find_domain(self, reference: Reference) -> Domain | None:
        if reference.domain_id is not None:
            return self.records.find_domain(reference.domain_id)
        return self.records.find_domain_by_name(reference.domain_name or "")

    def _scope(self, request: SignIn, user: User) -> Project | None:
        if request.project is not None:
            project = self._find_project(request.project)
            if project is None:
                raise Unauthenticated(REFUSED)
            return project
        if request.unscoped or user.default_project_id is None:
            return None
        project = self.records.find_project(user.default_project_id)
        usable = project and project.enabled and self._roles(user, project)
        return project if usable else None

    def _find_project(self, reference: Reference) -> Project | None:
        if reference.id is not None:
            return self.records.find_project(reference.id)
        domain = self._find_domain(reference)
        return self.records.find_project_by_name(reference.name or "", domain.id) if domain else None

    def _resolve(self, digest: str, now: Instant) -> Session | None:
        token = self.records.find_token(digest)
        if token is None or token.revoked_at is not None or token.expires_at <= now:
            return None
        return self._session(token)

    def _session(self, token: Token) -> Session | None:
        """What the token stands for today; None where its user, project or domain is disabled, or has no role."""
        user = self.records.find_user(token.user_id)
        user_domain = self.records.find_domain(user.domain_id) if user else None
        if user is None or user_domain is None or not (user.enabled and user_domain.enabled):
            return None
        session = Session(token=token, user=user, user_domain=user_domain, project=None, project_domain=None, roles=())
        return session if token.project_id is None else self._scoped(session, token.project_id)

    def _scoped(self, session: Session, project_id: str) -> Session | None:
        project = self.records.find_project(project_id)
        domain = self.records.find_domain(project.domain_id) if project else None
        if project is None or domain is None or not (project.enabled and domain.enabled):
            return None
        roles = self._roles(session.user, project)
        return replace(session, project=project, project_domain=domain, roles=roles) if roles else None

    def _roles(self, user: User, project: Project) -> tuple[Role, ...]:
        granted = {grant.role_id for grant in self.records.list_grants(user_id=user.id, project_id=project.id)}
        roles = self.records.list_roles()
        names = implied(role.name for role in roles if role.id in granted)
        return tuple(role for role in roles if role.name in names)


class _CallerCache:
    """The callers seen lately, by digest. ``clear`` moves the epoch on, so that what was read before is not kept."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._callers: OrderedDict[str, tuple[Instant, Caller]] = OrderedDict()
        self._lock = threading.Lock()
        self.epoch = 0

    def find(self, digest: str, now: Instant) -> Caller | None:
        with self._lock:
            until, caller = self._callers.get(digest, (0, None))
            if caller is None or now >= until:
                return None
            self._callers.move_to_end(digest)
            return caller

    def keep(self, digest: str, caller: Caller, now: Instant, epoch: int) -> None:
        until = min(after(now, self._seconds), caller.token_expires_at)
        with self._lock:
            if epoch != self.epoch:
                return
            self._callers[digest] = (until, caller)
            self._callers.move_to_end(digest)
            if len(self._callers) > _CACHED:
                self._callers.popitem(last=False)

    def clear(self) -> None:
        with self._lock:
            self.epoch += 1
            self._callers.clear()


def digest_of(token: str) -> str:
    """What is kept of a token: its SHA-256 in hex."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


def _audit_id() -> str:
    return base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()
