"""Real consumers of notifications, in an environment of their own that is made once for each lock file."""

import fcntl
import hashlib
import subprocess
import sys
from pathlib import Path

from tests.services_available import require_or_skip

_ROOT = Path(__file__).parents[2]
_LOCK = _ROOT / "requirements" / "consumers.txt"
_HOMES = Path.home() / ".cache" / "kilonova-tests"


def consumers_bin() -> Path:
    """Where their programs are. Installed at the first call; the reason is said where that cannot be."""
    digest = hashlib.sha256(_LOCK.read_bytes()).hexdigest()[:16]
    home = _HOMES / f"consumers-{digest}-{sys.version_info.major}{sys.version_info.minor}"
    _HOMES.mkdir(parents=True, exist_ok=True)
    with (_HOMES / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # other runs of the tests on this machine would clear what is half made
        if not (home / "whole").exists():
            _install(home)
    return home / "bin"


def _install(home: Path) -> None:
    uv, python = str(Path(sys.executable).parent / "uv"), str(home / "bin" / "python")
    for command in (
        [uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(home)],
        [uv, "pip", "install", "--quiet", "--python", python, "--require-hashes", "-r", str(_LOCK)],
    ):
        done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
        if done.returncode:
            require_or_skip(f"the consumers cannot be installed: {done.stderr.strip()[-300:]}")
    (home / "whole").touch()
