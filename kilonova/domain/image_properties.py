"""What an image's properties say about how its servers are to be run, in Nova's names and with Nova's meaning."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from kilonova.domain.errors import Invalid

_TRUE: Final = frozenset({"1", "t", "true", "on", "y", "yes"})
_NO_KERNEL: Final = "nokernel"
_WINDOWS: Final = "windows"
_MOST_COMMAND_LINE: Final = 2047
"""What a kernel for x86 takes."""
_LINE: Final = re.compile("[\t\x20-\x7e]*")
_USER: Final = re.compile('[^\x00-\x20\x7f-\x9f:/"\ud800-\udfff][^\x00-\x1f\x7f-\x9f:/"\ud800-\udfff]{0,255}')


@dataclass(frozen=True, slots=True, kw_only=True)
class RunsAs:
    """How a guest of an image is run."""

    kernel_id: str | None = None
    """The image of the kernel that it boots with; None where it boots by itself."""
    ramdisk_id: str | None = None
    command_line: str = ""
    """What that kernel is told; empty for what all are told."""
    has_agent: bool = False
    """Whether QEMU's agent runs inside, as the image's owner says."""
    admin_user: str = "root"
    """Whose password is set when one is."""


def read_properties(properties: Mapping[str, str]) -> RunsAs:
    """What the properties say.

    Invalid for a command line that no kernel can be told, and for a user who cannot be one.
    """
    kernel_id = properties.get("kernel_id") or None
    has_kernel = kernel_id is not None and kernel_id != _NO_KERNEL
    return RunsAs(
        kernel_id=kernel_id if has_kernel else None,
        ramdisk_id=(properties.get("ramdisk_id") or None) if has_kernel else None,
        command_line=_command_line(properties),
        has_agent=properties.get("hw_qemu_guest_agent", "").strip().lower() in _TRUE,
        admin_user=_admin_user(properties),
    )


def read_kept(properties: Mapping[str, str]) -> RunsAs:
    """The same of a server that was made of the image already, maybe before anybody judged what images say.

    What makes no sense there counts as not said.
    """
    line, user = properties.get("os_command_line", ""), properties.get("os_admin_user", "")
    bad = {"os_command_line": not _is_line(line), "os_admin_user": not _USER.fullmatch(user)}
    return read_properties({name: value for name, value in properties.items() if not bad.get(name, False)})


def _is_line(text: str) -> bool:
    return len(text) <= _MOST_COMMAND_LINE and _LINE.fullmatch(text) is not None


def _command_line(properties: Mapping[str, str]) -> str:
    line = properties.get("os_command_line", "")
    if not _is_line(line):
        raise Invalid(
            f"The image's os_command_line cannot be used: it may have {_MOST_COMMAND_LINE} characters, in one line."
        )
    return line


def _admin_user(properties: Mapping[str, str]) -> str:
    user = properties.get("os_admin_user")
    if not user:
        return "Administrator" if properties.get("os_type", "").lower() == _WINDOWS else "root"
    if not _USER.fullmatch(user):
        raise Invalid("The image's os_admin_user is not the name of a user.")
    return user
