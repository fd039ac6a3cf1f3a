"""Application credentials: secrets by which programs sign in for a user."""

import secrets
from collections.abc import Sequence
from typing import Any, Final
from uuid import uuid4

from kilonova.domain.accounts import ApplicationCredential, Role, Target
from kilonova.domain.errors import Forbidden, Invalid, NotFound, NotSupported
from kilonova.domain.model import Instant
from kilonova.identity.accounts import Accounts
from kilonova.identity.bodies import Body, flag_in, name_in, text_in
from kilonova.identity.caller import Caller
from kilonova.identity.embedded import EmbeddedIdentity
from kilonova.wire.times import parse_iso

_SECRET_BYTES: Final = 64


class ApplicationCredentials:
    """Makes and takes away what belongs to one user; who may is for the caller to judge, but for restricted tokens."""

    def __init__(self, identity: EmbeddedIdentity, accounts: Accounts) -> None:
        self._identity = identity
        self._records = identity.records
        self._accounts = accounts

    def get(self, user_id: str, credential_id: str) -> ApplicationCredential:
        """One of a user's. NotFound where it is not theirs."""
        credential = self._records.find_application_credential(credential_id)
        if credential is None or credential.user_id != user_id:
            raise NotFound(f"Could not find Application Credential: {credential_id}.")
        return credential

    def list_of(self, user_id: str) -> Sequence[ApplicationCredential]:
        """All of a user's, by name."""
        self._accounts.get_user(user_id)
        return self._records.list_application_credentials(user_id)

    def create(self, wanted: Body, caller: Caller) -> tuple[ApplicationCredential, str]:
        """A new one for the caller's own project, with its secret, which is not to be had again.

        Forbidden for a token of no project, or one that must not make any; Invalid for roles that the caller does not
        have there; Conflict where the name is taken.
        """
        self._refuse_restricted(caller, "create_application_credential")
        if caller.project_id is None:
            raise Forbidden("An application credential is for a project: sign in on one to create it.")
        if wanted.get("access_rules"):
            raise NotSupported("Access rules are not offered here.")
        secret = text_in(wanted, "secret") or secrets.token_hex(_SECRET_BYTES)
        credential = ApplicationCredential(
            id=uuid4().hex,
            user_id=caller.user_id,
            project_id=caller.project_id,
            name=name_in(wanted),
            secret_hash=self._identity.passwords.hash(secret),
            role_ids=tuple(role.id for role in self._roles(wanted.get("roles"), caller)),
            description=text_in(wanted, "description") or "",
            unrestricted=flag_in(wanted, "unrestricted", otherwise=False),
            expires_at=_instant(text_in(wanted, "expires_at"), self._identity.clock()),
        )
        self._records.add_application_credential(credential)
        return credential, secret

    def delete(self, user_id: str, credential_id: str, caller: Caller) -> None:
        """Take one away with its tokens."""
        self._refuse_restricted(caller, "delete_application_credential")
        self.get(user_id, credential_id)
        self._records.delete_application_credential(credential_id)
        self._identity.forget()

    def roles_of(self, credential: ApplicationCredential) -> Sequence[Role]:
        """The roles that it was made with and that are still there, by name."""
        return [role for role in self._records.list_roles() if role.id in credential.role_ids]

    def _roles(self, wanted: Any, caller: Caller) -> Sequence[Role]:
        """The roles that are asked for, by id or name; all that the caller has, where none are."""
        mine = self._identity.sessions.roles_on(caller.user_id, Target(project_id=caller.project_id))
        mine = tuple(role for role in mine if role.name in caller.roles)
        if not wanted:
            return mine
        if not isinstance(wanted, list) or not all(isinstance(one, dict) for one in wanted):
            raise Invalid("Invalid input for field 'roles': it must be a list of objects with an id or a name")
        chosen = []
        for one in wanted:
            found = [
                role for role in mine if one.get("id", role.id) == role.id and one.get("name", role.name) == role.name
            ]
            if len(found) != 1:
                raise Invalid(
                    f"Invalid application credential: Could not find role assignment with role: "
                    f"{one.get('id') or one.get('name')}, user or group: {caller.user_id}, "
                    f"project, domain, or system: {caller.project_id}."
                )
            chosen += found
        return chosen

    def _refuse_restricted(self, caller: Caller, action: str) -> None:
        if caller.is_restricted:
            raise Forbidden(
                f"You are not authorized to perform the requested action: identity:{action}, "
                "with a token of a restricted application credential."
            )


def _instant(text: str | None, now: Instant) -> Instant | None:
    if text is None:
        return None
    try:
        instant = Instant(parse_iso(text))
    except ValueError as error:
        raise Invalid(f"Invalid input for field 'expires_at': {text!r} is not a 'date-time'") from error
    if instant <= now:
        raise Invalid(f"Invalid input for field 'expires_at': {text!r} is in the past")
    return instant
