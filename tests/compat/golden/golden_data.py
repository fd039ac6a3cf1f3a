"""The golden data: Nova's API samples (one file an API) and the recorded answers of a real Nova (one file an answer).

``tests/data/README.md`` says where they come from.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

DATA: Final = Path(__file__).parents[2] / "data"
FIRST: Final = "2.1"


@dataclass(frozen=True, slots=True)
class Sample:
    """A body from Nova's documentation: of a request or of an answer, as its row says."""

    api: str
    version: str
    name: str
    body: Any

    @property
    def path(self) -> str:
        """Where it stands: ``servers/v2.47/server-get-resp``, without a version for those of the base."""
        between = "" if self.version == FIRST else f"v{self.version}/"
        return f"{self.api}/{between}{self.name}"

    @property
    def kind(self) -> str:
        """The same whatever the version: ``servers/server-get-resp``."""
        return f"{self.api}/{self.name}"


@dataclass(frozen=True, slots=True)
class Capture:
    """One request to a real Nova, and what it answered."""

    name: str
    version: str
    method: str
    path: str
    request_body: Any
    status: int
    headers: dict[str, str]
    body: Any

    @property
    def title(self) -> str:
        """What the file is called: ``server-show@2.53``."""
        return f"{self.name}@{self.version}"


@cache
def samples() -> tuple[Sample, ...]:
    """Every sample."""
    return tuple(_samples())


@cache
def captures() -> tuple[Capture, ...]:
    """Every recorded answer."""
    files = sorted((DATA / "captures").glob("*.json"))
    return tuple(_capture(file.stem, json.loads(file.read_text("utf-8"))) for file in files)


def find_sample(api: str, name: str, version: str) -> Sample | None:
    """The sample of this name at the version, else of the last one before it that has it, else the first after."""
    found = sorted((each for each in samples() if (each.api, each.name) == (api, name)), key=_age)
    before = [each for each in found if number(each.version) <= number(version)]
    return (before[-1] if before else found[0]) if found else None


def _samples() -> Iterator[Sample]:
    for file in sorted((DATA / "samples").glob("*.json")):
        for place, body in json.loads(file.read_text("utf-8")).items():
            *folder, name = place.split("/")
            yield Sample(file.stem, folder[0][1:] if folder else FIRST, name, body)


def _capture(title: str, recorded: dict[str, Any]) -> Capture:
    name, version = title.split("@")
    request = recorded["request"]
    return Capture(
        name=name,
        version=version,
        method=request["method"],
        path="/" + request["url"].split("/", 3)[3],
        request_body=request["body"],
        status=recorded["status"],
        headers={key.lower(): value for key, value in recorded["headers"].items()},
        body=recorded["body"],
    )


def _age(sample: Sample) -> tuple[int, ...]:
    return number(sample.version)


def number(version: str) -> tuple[int, ...]:
    """A microversion as something that can be compared."""
    return tuple(int(part) for part in version.split("."))
