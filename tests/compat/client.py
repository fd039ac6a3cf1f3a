"""The real ``openstack`` client within the tests' own process: for long walks, in which its start would be most."""

import contextlib
import io
import json
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


class OpenStackClient:
    """Takes the commands of ``openstack`` as the cloud's administrator.

    Not its global options, which it keeps from its first command on: for these, ``StartedCloud.openstack``.
    """

    def __init__(self, clouds: Path) -> None:
        """``clouds`` is a clouds.yaml with an entry ``kilonova``."""
        self._clouds = clouds

    def run(self, *command: str, fails: bool = False) -> str:
        """What the command writes (its complaint, if it is to fail)."""
        said, complained = io.StringIO(), io.StringIO()
        with self._configured(), contextlib.redirect_stdout(said), contextlib.redirect_stderr(complained):
            from openstackclient import shell

            status = shell.main(["--os-cloud", "kilonova", *command])
        text = f"openstack {' '.join(command)}: {said.getvalue()}{complained.getvalue()}"
        assert (status != 0) is fails, text
        return complained.getvalue() if fails else said.getvalue()

    def table(self, *command: str) -> Any:
        """What it writes, as data."""
        return json.loads(self.run(*command, "-f", "json"))

    @contextlib.contextmanager
    def _configured(self) -> Iterator[None]:
        """Told where the cloud is, and free to warn and to log as it likes, as in a process of its own."""
        root = logging.getLogger()
        level, handlers = root.level, root.handlers[:]
        with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            patch.setenv("OS_CLIENT_CONFIG_FILE", str(self._clouds))
            try:
                yield
            finally:
                root.setLevel(level)
                root.handlers[:] = handlers
