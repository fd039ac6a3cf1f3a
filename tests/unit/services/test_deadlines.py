"""Deadlines of operations by the settings."""

import pytest

from kilonova.domain.errors import SettingsUnusable
from kilonova.services.deadlines import deadlines_of
from kilonova.services.settings import ServiceSettings


def test_deadlines_are_read_by_the_names_of_operations() -> None:
    settings = ServiceSettings(operation_deadlines=" create=600, reboot = 5 ,")
    assert deadlines_of(settings) == {"create": 600, "reboot": 5}
    assert deadlines_of(ServiceSettings()) == {}


@pytest.mark.parametrize(
    "text", ["created=1", "create", "create=", "create=0", "create=1.5", "create=-1", "create=99999999"]
)
def test_a_deadline_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(SettingsUnusable, match="operation_deadlines"):
        deadlines_of(ServiceSettings(operation_deadlines=text))
