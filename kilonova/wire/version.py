"""Microversions: their order, values that depend on one, and what a request asks for (contract §0.3).

A microversion is a step function: from some version on, something is so. ``Versioned`` is that function, ``Span`` the
stretch of versions in which a thing exists; fields, routes, schemas and defaults are built on the two.
"""

import re
from bisect import bisect_right
from collections.abc import Mapping
from typing import Final, Generic, NamedTuple, TypeVar

_TEXT: Final = re.compile(r"([1-9][0-9]*)\.(0|[1-9][0-9]*)\Z", re.ASCII)
_SERVICE: Final = "compute"

T = TypeVar("T")

STANDARD_HEADER: Final = "openstack-api-version"
LEGACY_HEADER: Final = "x-openstack-nova-api-version"


class VersionMalformed(ValueError):
    """The text is no microversion; the message is Nova's."""

    def __init__(self, text: str) -> None:
        super().__init__(f"API Version String {text} is of invalid format. Must be of format MajorNum.MinorNum.")


class VersionUnsupported(ValueError):
    """A microversion outside of what is served; the message is Nova's, ``version`` is what was asked for."""

    def __init__(self, version: "Microversion", maximum: "Microversion") -> None:
        super().__init__(f"Version {version} is not supported by the API. Minimum is {MIN} and maximum is {maximum}.")
        self.version = version


class Microversion(NamedTuple):
    """One version of the contract, such as 2.79; ordered, and printed as it is written."""

    major: int
    minor: int

    @classmethod
    def parse(cls, text: str) -> "Microversion":
        """The version of a text such as ``2.79``. VersionMalformed where it is none."""
        match = _TEXT.match(text)
        if not match or len(text) > 12:
            raise VersionMalformed(text)
        return cls(int(match[1]), int(match[2]))

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"


MIN: Final = Microversion(2, 1)
"""The first microversion; what a request without a header gets."""

NOVA_MAX: Final = Microversion(2, 104)
"""The last microversion of the Nova that the contract describes."""


class Span(NamedTuple):
    """A stretch of versions, both ends included; ``until`` None for no end."""

    since: Microversion
    until: Microversion | None

    @classmethod
    def of(cls, since: str = "2.1", until: str | None = None) -> "Span":
        """The span between two texts. ValueError where it is empty."""
        span = cls(Microversion.parse(since), Microversion.parse(until) if until else None)
        if span.until is not None and span.until < span.since:
            raise ValueError(f"no version lies between {since} and {until}")
        return span

    def has(self, version: Microversion) -> bool:
        """Whether the version lies in the span."""
        return self.since <= version and (self.until is None or version <= self.until)

    def overlaps(self, other: "Span") -> bool:
        """Whether some version lies in both."""
        return self.has(other.since) or other.has(self.since)

    @property
    def after(self) -> Microversion | None:
        """The first version behind the span, None where it has no end."""
        return None if self.until is None else Microversion(self.until.major, self.until.minor + 1)


class Versioned(Generic[T]):
    """A value that changes at some versions: steps of (since, value), in ascending order."""

    def __init__(self, *steps: tuple[str, T]) -> None:
        self._since = [Microversion.parse(since) for since, _ in steps]
        self._values = [value for _, value in steps]
        if not steps or sorted(set(self._since)) != self._since:
            raise ValueError("steps must be there, and ascend")

    def at(self, version: Microversion) -> T:
        """The value at a version. LookupError before the first step."""
        index = bisect_right(self._since, version) - 1
        if index < 0:
            raise LookupError(f"nothing is said about {version}")
        return self._values[index]

    @property
    def steps(self) -> list[tuple[Microversion, T]]:
        """Every (since, value), in ascending order."""
        return list(zip(self._since, self._values, strict=True))


def asked_version(headers: Mapping[str, str]) -> str | None:
    """The version text that a request's headers (names in lower case) ask for, or None where they name none.

    The standard header may name several services and ignores pairs without a known service; it wins over the
    legacy one (contract §0.3).
    """
    for pair in headers.get(STANDARD_HEADER, "").split(","):
        service, _, text = pair.strip().partition(" ")
        if service.lower() == _SERVICE and text.strip():
            return text.strip()
    return headers.get(LEGACY_HEADER, "").strip() or None


def negotiate(headers: Mapping[str, str], maximum: Microversion) -> Microversion:
    """The version that a request is served at.

    ``latest`` is ``maximum``. VersionMalformed or VersionUnsupported where the request asks for what is not there.
    """
    text = asked_version(headers)
    if text is None:
        return MIN
    if text == "latest":
        return maximum
    version = Microversion.parse(text)
    if not MIN <= version <= maximum:
        raise VersionUnsupported(version, maximum)
    return version
