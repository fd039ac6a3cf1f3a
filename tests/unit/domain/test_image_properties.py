"""What an image's properties say about its servers."""

import pytest

from kilonova.domain.errors import Invalid
from kilonova.domain.image_properties import RunsAs, read_kept, read_properties


def test_an_image_that_says_nothing_boots_by_itself_and_has_a_root() -> None:
    assert read_properties({}) == RunsAs()
    assert read_properties({"ramdisk_id": "r"}) == RunsAs(), "a ramdisk needs a kernel"


def test_a_kernel_and_its_ramdisk_are_read_and_nokernel_is_none() -> None:
    said = read_properties({"kernel_id": "k", "ramdisk_id": "r", "os_command_line": "root=/dev/vda1"})
    assert (said.kernel_id, said.ramdisk_id, said.command_line) == ("k", "r", "root=/dev/vda1")
    assert read_properties({"kernel_id": "nokernel", "ramdisk_id": "r"}) == RunsAs()
    assert read_properties({"kernel_id": "k", "ramdisk_id": ""}).ramdisk_id is None


@pytest.mark.parametrize(
    "word, has", [("yes", True), ("True", True), ("1", True), ("on ", True), ("no", False), ("", False), ("2", False)]
)
def test_an_agent_is_there_where_the_image_says_so(word: str, has: bool) -> None:
    assert read_properties({"hw_qemu_guest_agent": word}).has_agent is has


@pytest.mark.parametrize(
    "properties, user",
    [
        ({}, "root"),
        ({"os_type": "linux"}, "root"),
        ({"os_type": "windows"}, "Administrator"),
        ({"os_type": "windows", "os_admin_user": "Admin User"}, "Admin User"),
        ({"os_admin_user": "debian"}, "debian"),
        ({"os_admin_user": ""}, "root"),
    ],
)
def test_whose_password_is_set_the_image_says(properties: dict[str, str], user: str) -> None:
    assert read_properties(properties).admin_user == user


@pytest.mark.parametrize("user", ["a:b", "a\nb", "\0", " a", "x" * 300, 'a"', "a/b", "\ud800"])
def test_nobody_has_such_a_name(user: str) -> None:
    with pytest.raises(Invalid, match="not the name of a user"):
        read_properties({"os_admin_user": user})


@pytest.mark.parametrize("line", ["a" * 2048, "a\nb", "a\0", "\x1b[31m", "caf\u00e9"])
def test_no_kernel_is_told_such_a_line(line: str) -> None:
    with pytest.raises(Invalid, match="os_command_line cannot be used"):
        read_properties({"os_command_line": line})


def test_what_a_server_was_made_of_before_is_read_as_far_as_it_makes_sense() -> None:
    assert read_kept({"os_command_line": "a\nb", "os_admin_user": "a:b", "hw_qemu_guest_agent": "yes"}) == RunsAs(
        has_agent=True
    )
    sensible = {"kernel_id": "k", "os_command_line": "quiet", "os_admin_user": "debian"}
    assert read_kept(sensible) == read_properties(sensible)
    assert read_kept({"os_admin_user": "", "os_type": "windows"}).admin_user == "Administrator"
