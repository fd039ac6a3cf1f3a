"""The embedded identity service: sign-ins, and what a token stands for."""

import base64
import logging
import secrets
import threading
import uuid
from collections import OrderedDict
from dataclasses import replace
from typing import Final

from kilonova.domain.accounts import ApplicationCredential, Domain, Project, Target, Token, User
from kilonova.domain.digest import digest_of
from kilonova.domain.errors import NotFound, Unauthenticated
from kilonova.domain.model import Clock, Instant, after
from kilonova.identity.caller import Caller
from kilonova.identity.passwords import GuessBrake, Passwords
from kilonova.identity.records import IdentityRecords
from kilonova.identity.sessions import Session, Sessions
from kilonova.identity.signin import REFUSED, Reference, Secret, SignIn, WantedScope

_LOG: Final = logging.getLogger(__name__)
_CACHED: Final = 1024


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
        self.sessions = Sessions(records)
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
        proof = self._check_secret(request.secret, now) if request.secret else None
        user = self._prove(request, base, proof)
        target = self._target(request.scope, user, base, proof)
        text = secrets.token_hex(32)  # no command takes it for an option, as one that begins with a hyphen
        token = Token(
            digest=digest_of(text),
            user_id=user.id,
            project_id=target.project_id,
            domain_id=target.domain_id,
            is_system=target.is_system,
            methods=_methods(request, base),
            audit_ids=(_audit_id(), *(base.audit_ids[-1:] if base else ())),
            issued_at=now,
            expires_at=base.expires_at if base else after(now, self._token_seconds),
            application_credential_id=proof.id if proof else base.application_credential_id if base else None,
        )
        session = self.sessions.of(token, now)
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
        user = self._find_user(reference)
        usable = user if user and user.enabled else None
        name = user.id if user else f"{reference.id!r}/{reference.name!r}"[:128]
        self._guess(name, usable.password_hash if usable else None, password, self.clock())
        if usable is None:
            raise Unauthenticated(REFUSED)
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

    def _guess(self, name: str, password_hash: str | None, password: str, now: Instant) -> None:
        """Unauthenticated where the guess is wrong, or was made after too many wrong ones at this name."""
        if self._brake.is_on(name, now):
            raise Unauthenticated(REFUSED)
        if not self.passwords.verify(password_hash, password):
            if self._brake.failed(name, now) == 1:
                _LOG.warning("a sign-in was refused", extra={"user": name})
            raise Unauthenticated(REFUSED)
        self._brake.succeeded(name)

    def _check_secret(self, proof: Secret, now: Instant) -> ApplicationCredential:
        credential = self._find_credential(proof)
        name = credential.id if credential else f"{proof.id!r}/{proof.name!r}"[:128]
        self._guess(name, credential.secret_hash if credential else None, proof.secret, now)
        if credential is None:
            raise Unauthenticated(REFUSED)
        return credential

    def _find_credential(self, proof: Secret) -> ApplicationCredential | None:
        if proof.id is not None:
            return self.records.find_application_credential(proof.id)
        user = self._find_user(proof.user) if proof.user else None
        mine = self.records.list_application_credentials(user.id) if user else ()
        return next((one for one in mine if one.name == proof.name), None)

    def _prove(self, request: SignIn, base: Token | None, proof: ApplicationCredential | None) -> User:
        """The one user of whom all that was sent is proof."""
        found = [self.check_password(request.user, request.password)] if request.user else []
        found += [user for user_id in _users(base, proof) if (user := self.records.find_user(user_id))]
        if len({user.id for user in found}) != 1:
            raise Unauthenticated(REFUSED)
        return found[0]

    def _find_user(self, reference: Reference) -> User | None:
        if reference.id is not None:
            return self.records.find_user(reference.id)
        domain = self._find_domain(reference)
        return self.records.find_user_by_name(reference.name or "", domain.id) if domain else None

    def _find_domain(self, reference: Reference) -> Domain | None:
        if reference.domain_id is not None:
            return self.records.find_domain(reference.domain_id)
        return self.records.find_domain_by_name(reference.domain_name or "")

    def _target(
        self, wanted: WantedScope, user: User, base: Token | None, proof: ApplicationCredential | None
    ) -> Target:
        if proof:
            return Target(project_id=proof.project_id)
        target = self._named_target(wanted, user)
        if base and base.application_credential_id is not None and target != base.target:
            raise Unauthenticated(REFUSED)  # what a credential is good for, its tokens cannot widen
        return target

    def _named_target(self, wanted: WantedScope, user: User) -> Target:
        if wanted.project is not None:
            project = self._find_project(wanted.project)
            if project is None:
                raise Unauthenticated(REFUSED)
            return Target(project_id=project.id)
        if wanted.domain is not None:
            domain = self._find_domain(wanted.domain)
            if domain is None:
                raise Unauthenticated(REFUSED)
            return Target(domain_id=domain.id)
        if wanted.is_system or wanted.unscoped or user.default_project_id is None:
            return Target(is_system=wanted.is_system)
        default = Target(project_id=user.default_project_id)
        project = self.records.find_project(user.default_project_id)
        usable = project and project.enabled and self.sessions.roles_on(user.id, default)
        return default if usable else Target()

    def _find_project(self, reference: Reference) -> Project | None:
        if reference.id is not None:
            return self.records.find_project(reference.id)
        domain = self._find_domain(reference)
        return self.records.find_project_by_name(reference.name or "", domain.id) if domain else None

    def _resolve(self, digest: str, now: Instant) -> Session | None:
        token = self.records.find_token(digest)
        if token is None or token.revoked_at is not None or token.expires_at <= now:
            return None
        return self.sessions.of(token, now)


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


def _methods(request: SignIn, base: Token | None) -> tuple[str, ...]:
    """How the user proved who they are, now and when they got the token that this one is made from."""
    methods: list[str] = ["password"] if request.user else []
    if request.secret:
        methods.append("application_credential")
    if base:
        methods += base.methods if "token" in base.methods else ("token", *base.methods)
    return tuple(dict.fromkeys(methods))


def _users(base: Token | None, proof: ApplicationCredential | None) -> list[str]:
    return [one.user_id for one in (base, proof) if one is not None]


def _audit_id() -> str:
    return base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()
