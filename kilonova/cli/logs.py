"""What is logged, and where: everything to a file of its owner alone, what matters to the terminal too."""

import logging
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Final

_MOST_BYTES: Final = 10 << 20
_ORDINARY: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class FactsFormatter(logging.Formatter):
    """One line an event, its facts behind it as ``key=value``."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the standard library's name
        """The line without a traceback."""
        facts = (f"{key}={value}" for key, value in vars(record).items() if key not in _ORDINARY)
        return " ".join((super().formatMessage(record), *facts))


def log_to(file: Path, *, debug: bool) -> None:
    """Log to ``file``, kept within a few MiB, and to the terminal. A log that cannot be written stops nothing."""
    logging.raiseExceptions = False
    to_file = RotatingFileHandler(file, maxBytes=_MOST_BYTES, backupCount=3, encoding="utf-8")
    to_terminal = logging.StreamHandler()
    to_terminal.setLevel(logging.DEBUG if debug else logging.WARNING)
    for handler in (to_file, to_terminal):
        handler.setFormatter(FactsFormatter())
    logging.basicConfig(level=logging.DEBUG if debug else logging.INFO, handlers=[to_file, to_terminal])
    file.chmod(0o600)
