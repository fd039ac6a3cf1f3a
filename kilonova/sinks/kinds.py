"""Which kinds of sink there are, what each can be told, and which of that is nobody's business."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final

from kilonova.domain.errors import Invalid
from kilonova.domain.options import range_of
from kilonova.sinks import Sink
from kilonova.sinks.amqp import AmqpSettings, AmqpSink, check_amqp
from kilonova.sinks.file import FileSettings, FileSink
from kilonova.sinks.webhook import WebhookSettings, WebhookSink, check_webhook
from kilonova.wire.transport_url import masked

_FORMATS: Final = ("", "unversioned", "versioned", "both")
_MASK: Final = "***"


@dataclass(frozen=True, slots=True)
class _Kind:
    settings: Callable[..., Any]
    check: Callable[[Any], None]
    open: Callable[[str, Any, Path], Sink]


_KINDS: Final[Mapping[str, _Kind]] = {
    "file": _Kind(FileSettings, lambda _: None, lambda name, it, folder: FileSink(folder / name, it)),
    "amqp": _Kind(AmqpSettings, check_amqp, lambda _name, it, _folder: AmqpSink(it)),
    "webhook": _Kind(WebhookSettings, check_webhook, lambda _name, it, _folder: WebhookSink(it)),
}
_SECRET: Final[Mapping[str, Callable[[str], str]]] = {"transport_url": masked, "secret": lambda _: _MASK}


class SinkKinds:
    """Knows all kinds. Files are written below ``folder``, each sink's in a directory with its name."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def checked(self, kind: str, settings: Mapping[str, Any]) -> dict[str, Any]:
        """All settings of a sink, defaults filled in.

        Invalid for a kind or a setting that there is not, or a value that makes no sense.
        """
        made = _made(kind, settings)
        _kind(kind).check(made)
        return asdict(made)

    def opened(self, name: str, kind: str, settings: Mapping[str, Any]) -> Sink:
        """The sink; it connects when something is delivered. Invalid as in ``checked``."""
        return _kind(kind).open(name, _made(kind, settings), self._folder)

    def shown(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """The settings without their secrets."""
        return {name: _SECRET[name](value) if name in _SECRET and value else value for name, value in settings.items()}


def _kind(kind: str) -> _Kind:
    if kind not in _KINDS:
        raise Invalid(f"There is no kind of sink {kind!r}; there are {', '.join(_KINDS)}.")
    return _KINDS[kind]


def _made(kind: str, settings: Mapping[str, Any]) -> Any:
    declared = {each.name: each for each in fields(_kind(kind).settings)}  # type: ignore[arg-type]
    for name, value in settings.items():
        if name not in declared:
            raise Invalid(f"A sink of kind {kind} has no setting {name!r}; it has {', '.join(declared)}.")
        _check_value(name, value, declared[name])
    if settings.get("format", "") not in _FORMATS:
        raise Invalid("The format is unversioned, versioned or both.")
    return _kind(kind).settings(**settings)


def _check_value(name: str, value: Any, declared: Any) -> None:
    wanted = type(declared.default)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not (isinstance(value, wanted) and not (wanted is int and isinstance(value, bool))) and not (
        wanted is float and is_number
    ):
        raise Invalid(f"The setting {name} is a {wanted.__name__}.")
    least, most = range_of(declared)
    if is_number and ((least is not None and value < least) or (most is not None and value > most)):
        raise Invalid(
            f"The setting {name} is {least:g} or more."
            if most is None
            else f"The setting {name} is {least:g} to {most:g}."
        )
