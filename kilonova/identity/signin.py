"""The body of ``POST /v3/auth/tokens``, read: who claims to be whom, and on behalf of which project."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kilonova.domain.errors import Invalid, NotSupported, Unauthenticated

REFUSED = "The request you have made requires authentication."
"""What every failed sign-in says, so that it does not tell what was wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A user or project, by id, or by name in a domain that is itself given by id or name."""

    id: str | None = None
    name: str | None = None
    domain_id: str | None = None
    domain_name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIn:
    """A request for a token: proofs of who asks, and the scope wanted.

    At least one of ``user`` (with ``password``) and ``token`` is there. ``project`` is None where none was named;
    ``unscoped`` says that none is wanted, not even the user's default one.
    """

    user: Reference | None
    password: str
    token: str | None
    project: Reference | None
    unscoped: bool


def read_sign_in(body: Any) -> SignIn:
    """The request in a decoded body.

    Invalid where the body is not of the form; Unauthenticated for a method that is not offered, as in Keystone;
    NotSupported for a scope that is not.
    """
    auth = _mapping(_mapping(body, "").get("auth"), "auth")
    identity = _mapping(auth.get("identity"), "auth.identity")
    methods = identity.get("methods")
    if not isinstance(methods, list) or not methods:
        raise Invalid("auth.identity.methods must be a list with at least one method: password, token")
    for method in methods:
        if method not in ("password", "token"):
            raise Unauthenticated("Attempted to authenticate with an unsupported method.")
    user, password = _password(identity) if "password" in methods else (None, "")
    token = _text(_mapping(identity.get("token"), "auth.identity.token"), "id") if "token" in methods else None
    project, unscoped = _scope(auth.get("scope"))
    return SignIn(user=user, password=password, token=token, project=project, unscoped=unscoped)


def _password(identity: Mapping[str, Any]) -> tuple[Reference, str]:
    section = _mapping(identity.get("password"), "auth.identity.password")
    user = _mapping(section.get("user"), "auth.identity.password.user")
    return _reference(user, "auth.identity.password.user"), _text(user, "password")


def _scope(scope: Any) -> tuple[Reference | None, bool]:
    if scope is None:
        return None, False
    if scope == "unscoped" or (isinstance(scope, dict) and "unscoped" in scope):
        return None, True
    scope = _mapping(scope, "auth.scope")
    if "project" in scope:
        return _reference(_mapping(scope["project"], "auth.scope.project"), "auth.scope.project"), False
    raise NotSupported(
        "Tokens here are scoped to a project, or unscoped; domain, system and trust scopes are not offered."
    )


def _reference(section: Mapping[str, Any], where: str) -> Reference:
    domain = section.get("domain")
    reference = Reference(
        id=_optional(section, "id"),
        name=_optional(section, "name"),
        domain_id=_optional(domain, "id") if isinstance(domain, dict) else None,
        domain_name=_optional(domain, "name") if isinstance(domain, dict) else None,
    )
    if reference.id is None and reference.name is None:
        raise Invalid(f"{where} needs an id, or a name and a domain")
    if reference.id is None and reference.domain_id is None and reference.domain_name is None:
        raise Invalid(f"{where} is given by name, so it needs a domain (by id or by name)")
    return reference


def _mapping(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise Invalid(f"{where or 'the body'} must be an object")
    return value


def _optional(section: Mapping[str, Any], key: str) -> str | None:
    return _text(section, key) if section.get(key) is not None else None


def _text(section: Mapping[str, Any], key: str) -> str:
    value = section.get(key)
    if not isinstance(value, str):
        raise Invalid(f"{key} must be a string")
    return value
