"""Prometheus' text format, written: families of samples with their help and type (exposition format 0.0.4)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_IN_LABELS: Final = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})
_IN_HELP: Final = str.maketrans({"\\": r"\\", "\n": r"\n"})


@dataclass(frozen=True, slots=True)
class Sample:
    """One value; ``suffix`` is what histograms add to the family's name."""

    value: float
    labels: Mapping[str, str] = field(default_factory=dict)
    suffix: str = ""


@dataclass(frozen=True, slots=True)
class Family:
    """Samples of one name. ``type`` is ``counter``, ``gauge`` or ``histogram``."""

    name: str
    type: str
    help: str
    samples: Sequence[Sample]


def rendered(families: Iterable[Family]) -> bytes:
    """The families as a scraper reads them."""
    return "".join(line for family in families for line in _lines(family)).encode()


def histogram(labels: Mapping[str, str], bounds: Sequence[float], counts: Sequence[int], total: float) -> list[Sample]:
    """The samples of one histogram; ``counts`` are of each bucket by itself, the last one beyond all bounds."""
    found, below = [], 0
    for bound, count in zip((*map(_number, bounds), "+Inf"), counts, strict=True):
        below += count
        found.append(Sample(below, {**labels, "le": bound}, "_bucket"))
    return [*found, Sample(total, labels, "_sum"), Sample(below, labels, "_count")]


def _lines(family: Family) -> Iterable[str]:
    yield f"# HELP {family.name} {family.help.translate(_IN_HELP)}\n# TYPE {family.name} {family.type}\n"
    for sample in family.samples:
        labels = ",".join(f'{name}="{value.translate(_IN_LABELS)}"' for name, value in sample.labels.items())
        yield (
            f"{family.name}{sample.suffix}{{{labels}}} {_number(sample.value)}\n"
            if labels
            else (f"{family.name}{sample.suffix} {_number(sample.value)}\n")
        )


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) and abs(value) < 2**53 else repr(float(value))
