"""What is logged, and where: everything to a file of its owner alone, what matters to the terminal too."""

import logging
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Final

_MOST_BYTES: Final = 10 << 20
_LINES_BETWEEN_LOOKS: Final = 256
_TALKERS: Final = ("httpcore", "httpcore2", "httpx", "httpx2", "amqp", "hpack", "websockets")
"""Libraries that at DEBUG tell whole headers and frames: tokens and passwords are in them."""
_ORDINARY: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}


class FactsFormatter(logging.Formatter):
    """One line an event, its facts behind it as ``key=value``."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the standard library's name
        """The line without a traceback."""
        facts = (f"{key}={value}" for key, value in vars(record).items() if key not in _ORDINARY)
        return " ".join((super().formatMessage(record), *facts))


class SizedLog(RotatingFileHandler):
    """A file that gives way to a new one when it has become too long, which is looked at now and then only.

    The standard library's looks before every line, and makes each twice for it.
    """

    def __init__(self, file: Path) -> None:
        super().__init__(file, maxBytes=_MOST_BYTES, backupCount=3, encoding="utf-8")
        self._lines = 0

    def shouldRollover(self, record: logging.LogRecord) -> bool:  # noqa: N802 - the standard library's name
        """Whether it is time for a new file."""
        self._lines += 1
        return self._lines % _LINES_BETWEEN_LOOKS == 1 and bool(super().shouldRollover(record))


def log_to_terminal(*, debug: bool) -> None:
    """Log what matters to the terminal alone."""
    handler = logging.StreamHandler()
    handler.setFormatter(FactsFormatter())
    logging.basicConfig(level=logging.DEBUG if debug else logging.WARNING, handlers=[handler])
    if debug:
        _keep_secrets()


def log_to(file: Path, *, debug: bool) -> None:
    """Log to ``file``, kept within a few MiB, and to the terminal. A log that cannot be written stops nothing."""
    logging.raiseExceptions = False
    to_file = SizedLog(file)
    to_terminal = logging.StreamHandler()
    to_terminal.setLevel(logging.DEBUG if debug else logging.WARNING)
    for handler in (to_file, to_terminal):
        handler.setFormatter(FactsFormatter())
    logging.basicConfig(level=logging.DEBUG if debug else logging.INFO, handlers=[to_file, to_terminal])
    if debug:
        _keep_secrets()
    file.chmod(0o600)


def _keep_secrets() -> None:
    for name in _TALKERS:
        logging.getLogger(name).setLevel(logging.INFO)
