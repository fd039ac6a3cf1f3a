"""Where a process keeps what it has: the state directory and the database, and which clock it goes by."""

import os
import time
from pathlib import Path

from kilonova.config import Settings
from kilonova.domain.errors import SettingsUnusable
from kilonova.domain.model import Instant
from kilonova.store.database import Database


def present() -> Instant:
    """The machine's time."""
    return Instant(time.time_ns() // 1000)


def open_database(settings: Settings) -> Database:
    """The database, its schema made or brought up to date; StoreUnusable if it cannot be used."""
    open_state_dir(settings)
    database = Database(url_of(settings))
    database.open()
    return database


def open_state_dir(settings: Settings) -> Path:
    """The state directory, made for its owner alone if it is not there; SettingsUnusable if it cannot be written."""
    directory = state_dir_of(settings)
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        probe = directory / f".writable-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise SettingsUnusable(
            f"The state directory {directory} cannot be written: {error.strerror}. Choose another with --state-dir."
        ) from error
    return directory.resolve()


def state_dir_of(settings: Settings) -> Path:
    """Where the state directory is, or will be."""
    default = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share") / "kilonova"
    return Path(settings.kilonova.state_dir).expanduser() if settings.kilonova.state_dir else default


def url_of(settings: Settings) -> str:
    """The database's URL."""
    return settings.database.connection or f"sqlite:///{state_dir_of(settings).resolve() / 'kilonova.sqlite'}"
