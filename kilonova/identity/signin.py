"""The body of ``POST /v3/auth/tokens``, read: who claims to be whom, and what the token is to be good for."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from kilonova.domain.errors import Forbidden, Invalid, NotSupported, Unauthenticated

REFUSED = "The request you have made requires authentication."
"""What every failed sign-in says, so that it does not tell what was wrong."""

_METHODS: Final = ("password", "token", "application_credential")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A user or project, by id, or by name in a domain that is itself given by id or name."""

    id: str | None = None
    name: str | None = None
    domain_id: str | None = None
    domain_name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Secret:
    """Proof by an application credential: by its id, or by its name and its user."""

    id: str | None
    name: str | None
    user: Reference | None
    secret: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedScope:
    """What the token is to be good for. With nothing given, the user's default project, unless ``unscoped``."""

    project: Reference | None = None
    domain: Reference | None = None
    is_system: bool = False
    unscoped: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIn:
    """A request for a token: proofs of who asks, and the scope wanted.

    At least one of ``user`` (with ``password``), ``token`` and ``secret`` is there.
    """

    user: Reference | None
    password: str
    token: str | None
    secret: Secret | None = None
    scope: WantedScope = WantedScope()


def read_sign_in(body: Any) -> SignIn:
    """The request in a decoded body.

    Invalid where the body is not of the form; Unauthenticated for a method that is not offered, and Forbidden for a
    scope beside an application credential, both as in Keystone; NotSupported for the scope of a trust.
    """
    auth = _mapping(_mapping(body, "").get("auth"), "auth")
    identity = _mapping(auth.get("identity"), "auth.identity")
    methods = identity.get("methods")
    if not isinstance(methods, list) or not methods:
        raise Invalid(f"auth.identity.methods must be a list with at least one method: {', '.join(_METHODS)}")
    for method in methods:
        if method not in _METHODS:
            raise Unauthenticated("Attempted to authenticate with an unsupported method.")
    user, password = _password(identity) if "password" in methods else (None, "")
    token = _text(_mapping(identity.get("token"), "auth.identity.token"), "id") if "token" in methods else None
    secret = _secret(identity) if "application_credential" in methods else None
    if secret and auth.get("scope") is not None:
        raise Forbidden(
            "Error authenticating with application credential: Application credentials cannot request a scope."
        )
    return SignIn(user=user, password=password, token=token, secret=secret, scope=_scope(auth.get("scope")))


def _secret(identity: Mapping[str, Any]) -> Secret:
    where = "auth.identity.application_credential"
    section = _mapping(identity.get("application_credential"), where)
    id, name = _optional(section, "id"), _optional(section, "name")
    if id is None and name is None:
        raise Invalid(f"{where} needs an id, or a name and a user")
    user = None
    if id is None:
        user = _reference(_mapping(section.get("user"), f"{where}.user"), f"{where}.user")
    return Secret(id=id, name=name, user=user, secret=_text(section, "secret"))


def _password(identity: Mapping[str, Any]) -> tuple[Reference, str]:
    section = _mapping(identity.get("password"), "auth.identity.password")
    user = _mapping(section.get("user"), "auth.identity.password.user")
    return _reference(user, "auth.identity.password.user"), _text(user, "password")


def _scope(scope: Any) -> WantedScope:
    if scope is None:
        return WantedScope()
    if scope == "unscoped" or (isinstance(scope, dict) and "unscoped" in scope):
        return WantedScope(unscoped=True)
    scope = _mapping(scope, "auth.scope")
    if "project" in scope:
        return WantedScope(project=_reference(_mapping(scope["project"], "auth.scope.project"), "auth.scope.project"))
    if "domain" in scope:
        return WantedScope(domain=_domain(_mapping(scope["domain"], "auth.scope.domain")))
    if "system" in scope:
        if _mapping(scope["system"], "auth.scope.system").get("all") is not True:
            raise Invalid("auth.scope.system.all must be true: the system is only there as a whole")
        return WantedScope(is_system=True)
    raise NotSupported("Tokens here are scoped to a project, a domain or the system; trust scopes are not offered.")


def _domain(section: Mapping[str, Any]) -> Reference:
    reference = Reference(domain_id=_optional(section, "id"), domain_name=_optional(section, "name"))
    if reference.domain_id is None and reference.domain_name is None:
        raise Invalid("auth.scope.domain needs an id or a name")
    return reference


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
