"""What a token stands for today: its user, what it is scoped to, and the roles on that, all as they are now."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from kilonova.domain.accounts import ApplicationCredential, Domain, Grant, Project, Role, Target, Token, User
from kilonova.domain.model import Instant
from kilonova.identity.caller import ADMIN, Caller
from kilonova.identity.records import IdentityRecords


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A valid token, resolved; ``roles`` has the implied ones, sorted by name.

    ``project`` is there with its domain, or ``domain`` alone, or neither for a token of the system or of nothing.
    """

    token: Token
    user: User
    user_domain: Domain
    project: Project | None = None
    project_domain: Domain | None = None
    domain: Domain | None = None
    credential: ApplicationCredential | None = None
    roles: tuple[Role, ...] = ()

    def caller(self) -> Caller:
        """The same, as request handlers get it."""
        names = frozenset(role.name for role in self.roles)
        on_project = names if self.project else frozenset[str]()
        return Caller(
            user_id=self.user.id,
            user_name=self.user.name,
            user_domain_id=self.user.domain_id,
            project_id=self.project.id if self.project else None,
            project_name=self.project.name if self.project else None,
            project_domain_id=self.project.domain_id if self.project else None,
            roles=on_project,
            is_admin=ADMIN in on_project,
            token_expires_at=self.token.expires_at,
            domain_id=self.domain.id if self.domain else None,
            is_system=self.token.is_system,
            roles_beyond=names - on_project,
            is_restricted=self.credential is not None and not self.credential.unrestricted,
        )


class Sessions:
    """Resolves tokens over the records; remembers nothing."""

    def __init__(self, records: IdentityRecords) -> None:
        self._records = records

    def of(self, token: Token, now: Instant) -> Session | None:
        """What the token stands for; None where its user or scope is disabled or gone, or the user has no role there.

        Whether the token itself is still good is for the caller to judge.
        """
        user = self._records.find_user(token.user_id)
        user_domain = self._enabled_domain(user.domain_id) if user else None
        if user is None or user_domain is None or not user.enabled:
            return None
        session: Session | None = Session(token=token, user=user, user_domain=user_domain)
        if token.application_credential_id is not None and session:
            session = self._with_credential(session, token.application_credential_id, now)
        return self._scoped(session) if session and not token.target.is_nothing else session

    def roles_on(self, user_id: str, target: Target) -> tuple[Role, ...]:
        """The roles that a user has on something, by grants to them or to their groups, implied ones included."""
        return self.with_implied({grant.role_id for grant in self.grants_of(user_id) if grant.target == target})

    def grants_of(self, user_id: str) -> list[Grant]:
        """All grants to a user or to one of their groups."""
        grants = list(self._records.list_grants(user_id=user_id))
        for group in self._records.list_groups_of(user_id):
            grants += self._records.list_grants(group_id=group.id)
        return grants

    def with_implied(self, role_ids: Iterable[str]) -> tuple[Role, ...]:
        """The roles of these ids with all that they bring, by name."""
        brings: dict[str, list[str]] = {}
        for inference in self._records.list_inferences():
            brings.setdefault(inference.prior_role_id, []).append(inference.implied_role_id)
        found: set[str] = set()
        open_ids = list(role_ids)
        while open_ids:
            role_id = open_ids.pop()
            if role_id not in found:
                found.add(role_id)
                open_ids += brings.get(role_id, [])
        return tuple(role for role in self._records.list_roles() if role.id in found)

    def _with_credential(self, session: Session, credential_id: str, now: Instant) -> Session | None:
        credential = self._records.find_application_credential(credential_id)
        if credential is None or (credential.expires_at is not None and credential.expires_at <= now):
            return None
        return replace(session, credential=credential)

    def _scoped(self, session: Session) -> Session | None:
        target = session.token.target
        if target.project_id is not None:
            project = self._records.find_project(target.project_id)
            domain = self._enabled_domain(project.domain_id) if project else None
            if project is None or domain is None or not project.enabled:
                return None
            session = replace(session, project=project, project_domain=domain)
        elif target.domain_id is not None:
            domain = self._enabled_domain(target.domain_id)
            if domain is None:
                return None
            session = replace(session, domain=domain)
        roles = self._roles(session)
        return replace(session, roles=roles) if roles else None

    def _roles(self, session: Session) -> tuple[Role, ...]:
        roles = self.roles_on(session.user.id, session.token.target)
        if session.credential is None:
            return roles
        kept = {role.id for role in roles} & set(session.credential.role_ids)
        return self.with_implied(kept)

    def _enabled_domain(self, domain_id: str) -> Domain | None:
        domain = self._records.find_domain(domain_id)
        return domain if domain and domain.enabled else None
