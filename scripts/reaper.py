"""Runs a command and takes in whatever it leaves behind: ``python scripts/reaper.py COMMAND [ARGUMENT...]``.

libvirtd starts each QEMU as a daemon, whose parent is then process 1. Where that one is no real init it takes seconds
to notice their ends, and libvirt waits for each of them. Under this, the ends are noticed at once
(PR_SET_CHILD_SUBREAPER, prctl(2)). It lives on after the command has ended, for as long as there are others.
"""

import ctypes
import os
import signal
import sys
from types import FrameType
from typing import Final

_PR_SET_CHILD_SUBREAPER: Final = 36


def main(command: list[str]) -> int:
    """Run it; signals to end are passed on. Gives the command's own status."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    child = os.fork()
    if child == 0:
        os.execvp(command[0], command)  # noqa: S606 - the command is what we were given to run

    def pass_on(number: int, _: FrameType | None) -> None:
        os.kill(child, number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, pass_on)
    status = 0
    while True:
        try:
            ended, how = os.wait()
        except ChildProcessError:
            return max(status, 0)
        if ended == child:
            status = os.waitstatus_to_exitcode(how)
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, signal.SIG_DFL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
