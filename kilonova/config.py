"""Every module's settings, gathered: read once from TOML files and the environment, then handed down as arguments.

Later sources win: the defaults, the files in the order given, the environment (``KILONOVA_<GROUP>__<OPTION>``), the
command line. An option that nobody declared is refused, with the closest name that is.
"""

import math
import os
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import Field, dataclass, field, fields, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from kilonova.api.settings import ApiSettings, MetricsSettings, MiddlewareSettings, PolicySettings
from kilonova.domain.errors import SettingsUnusable
from kilonova.domain.options import option, range_of
from kilonova.drivers.disks.settings import ImageCacheSettings
from kilonova.drivers.settings import LibvirtSettings
from kilonova.identity.settings import TokenSettings
from kilonova.images.settings import ImageSettings
from kilonova.notifications.options import NotificationSettings
from kilonova.services.console_settings import (
    ConsoleAuthSettings,
    ConsoleSettings,
    SerialConsoleSettings,
    VncSettings,
)
from kilonova.services.settings import (
    FeedSettings,
    FilterSettings,
    MessagingSettings,
    QuotaSettings,
    RabbitSettings,
    SchedulerSettings,
    ServiceSettings,
    StatisticsSettings,
)

_PREFIX: Final = "KILONOVA_"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessSettings:
    """``[kilonova]``: this process; what Nova has no options for."""

    listen: str = option("127.0.0.1", "Address to listen on. Anything but the loopback opens the cloud to a network.")
    port: int = option(8774, "Port to listen on; 0 for any that is free.", least=0, most=65535)
    driver: str = option("auto", "How the host runs guests: auto, qemu, libvirt or simulated.")
    simulate_hosts: int = option(
        1, "Hosts that this machine stands for; the qemu driver divides what the machine has among them.", least=1
    )
    simulate_nodes: int = option(1, "Nodes of each simulated host; more than one, as of a cluster.", least=1)
    simulate_pace: float = option(
        1.0, "How long simulated operations take: 1 is a fraction of a second each, 0 no time.", least=0
    )
    scenario: str = option("", "File (YAML) that says what goes wrong on simulated hosts; empty for nothing.")
    state_dir: str = option("", "Where everything lives; empty for $XDG_DATA_HOME/kilonova.")
    journal_retention_days: int = option(
        30, "Days for which the journal and decisions are kept; 0 for ever.", least=0, most=36500
    )
    journal_size_mb: int = option(
        1000, "Megabytes of documents that the journal keeps at most; the oldest go first. 0 for any size.", least=0
    )
    journal_patience_days: int = option(
        7,
        "Days for which rows are kept beyond the retention while some sink of the feed was not told of them.",
        least=0,
        most=36500,
    )
    threads: int = option(16, "Requests that are worked on at the same time.", least=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseSettings:
    """``[database]``."""

    connection: str = option("", "URL of the database; empty for SQLite in the state directory.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings of a process, by group."""

    kilonova: ProcessSettings = field(default_factory=ProcessSettings)
    DEFAULT: ServiceSettings = field(default_factory=ServiceSettings)
    database: DatabaseSettings = field(default_factory=DatabaseSettings)
    api: ApiSettings = field(default_factory=ApiSettings)
    oslo_policy: PolicySettings = field(default_factory=PolicySettings)
    oslo_middleware: MiddlewareSettings = field(default_factory=MiddlewareSettings)
    metrics: MetricsSettings = field(default_factory=MetricsSettings)
    statistics: StatisticsSettings = field(default_factory=StatisticsSettings)
    quota: QuotaSettings = field(default_factory=QuotaSettings)
    scheduler: SchedulerSettings = field(default_factory=SchedulerSettings)
    filter_scheduler: FilterSettings = field(default_factory=FilterSettings)
    token: TokenSettings = field(default_factory=TokenSettings)
    image: ImageSettings = field(default_factory=ImageSettings)
    image_cache: ImageCacheSettings = field(default_factory=ImageCacheSettings)
    libvirt: LibvirtSettings = field(default_factory=LibvirtSettings)
    vnc: VncSettings = field(default_factory=VncSettings)
    serial_console: SerialConsoleSettings = field(default_factory=SerialConsoleSettings)
    consoleauth: ConsoleAuthSettings = field(default_factory=ConsoleAuthSettings)
    console: ConsoleSettings = field(default_factory=ConsoleSettings)
    notifications: NotificationSettings = field(default_factory=NotificationSettings)
    feed: FeedSettings = field(default_factory=FeedSettings)
    oslo_messaging_notifications: MessagingSettings = field(default_factory=MessagingSettings)
    oslo_messaging_rabbit: RabbitSettings = field(default_factory=RabbitSettings)


def load(
    files: Sequence[Path] = (),
    *,
    environment: Mapping[str, str] = os.environ,
    overrides: Mapping[tuple[str, str], Any] | None = None,
) -> Settings:
    """The settings of this process; SettingsUnusable with one sentence where a source makes no sense."""
    values: dict[tuple[str, str], Any] = {}
    for file in files:
        values.update(_from_file(file))
    values.update(_from_environment(environment))
    values.update({key: value for key, value in (overrides or {}).items() if value is not None})
    return _applied(values)


def _from_file(file: Path) -> dict[tuple[str, str], Any]:
    try:
        document = tomllib.loads(file.read_text("utf-8"))
    except OSError as error:
        raise SettingsUnusable(f"The settings in {file} cannot be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsUnusable(f"The settings in {file} are not TOML: {error}.") from error
    stray = [group for group, options in document.items() if not isinstance(options, dict)]
    if stray:
        raise SettingsUnusable(f"In {file}, {stray[0]!r} stands outside a group such as [DEFAULT].")
    return {(group, name): value for group, options in document.items() for name, value in options.items()}


def _from_environment(environment: Mapping[str, str]) -> dict[tuple[str, str], Any]:
    groups = {group.name.upper(): group.name for group in fields(Settings)}
    found = {}
    for variable, value in environment.items():
        group, separator, name = variable.removeprefix(_PREFIX).partition("__")
        if variable.startswith(_PREFIX) and separator:
            found[groups.get(group.upper(), group.lower()), name.lower()] = value
    return found


def _applied(values: Mapping[tuple[str, str], Any]) -> Settings:
    settings = Settings()
    for (group, name), value in values.items():
        if group not in {known.name for known in fields(Settings)}:
            raise SettingsUnusable(f"There is no group of settings [{group}].{_closest(group, Settings())}")
        present = getattr(settings, group)
        declared = next((known for known in fields(present) if known.name == name), None)
        if declared is None:
            raise SettingsUnusable(f"There is no setting {name} in [{group}].{_closest(name, present)}")
        try:
            settings = replace(settings, **{group: replace(present, **{name: _typed(declared, value)})})
        except ValueError as error:
            raise SettingsUnusable(f"The setting {name} in [{group}] cannot be {value!r}: {error}.") from error
    return settings


def _closest(name: str, among: Any) -> str:
    known = {one.name.lower(): one.name for one in fields(among)}
    close = get_close_matches(name.lower(), known, n=1)
    return f" Did you mean {known[close[0]]}?" if close else ""


def _typed(declared: Field[Any], value: Any) -> Any:
    """The value as the type of the option's default; text is converted. ValueError says what is wrong with it."""
    converted = _CONVERSIONS[type(declared.default)](value)
    least, most = range_of(declared)
    if least is not None and converted < least:
        raise ValueError(f"the least is {least:g}")
    if most is not None and converted > most:
        raise ValueError(f"the most is {most:g}")
    return converted


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("not a text")  # noqa: TRY004 - one error for whatever a value is not
    return value


def _whole(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if not isinstance(value, str) or not _WHOLE.fullmatch(value.strip()):
        raise ValueError("not a whole number")
    return int(value)


def _number(value: Any) -> float:
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise ValueError("not a number")
    return number


def _truth(value: Any) -> bool:
    words = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}
    if isinstance(value, bool):
        return value
    if str(value).lower() not in words:
        raise ValueError("neither true nor false")
    return words[str(value).lower()]


_WHOLE: Final = re.compile(r"[+-]?[0-9]{1,18}")
_CONVERSIONS: Final[Mapping[type, Callable[[Any], Any]]] = {str: _text, int: _whole, float: _number, bool: _truth}
