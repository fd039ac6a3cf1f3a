"""Passwords of guests, as far as a guest without an agent shows; the mini guest has one."""

from typing import cast

import pytest

from kilonova.domain.errors import GuestFailure
from kilonova.domain.faults import FaultCause
from kilonova.domain.states import PowerState
from kilonova.drivers.protocol import CanSetPassword
from tests.backends.driver.worlds import World, guest_spec

WORD = "a-very-secret-word"


def setter(world: World) -> CanSetPassword:
    assert isinstance(world.driver, CanSetPassword)
    return cast("CanSetPassword", world.driver)


def test_a_guest_that_has_no_agent_keeps_its_password_and_runs_on(world: World) -> None:
    guest = world.spawn_ready(guest_spec(has_agent=True))
    if setter(world).needs_agent:
        with pytest.raises(GuestFailure, match="the agent inside the server does not answer") as failure:
            setter(world).set_password(guest, WORD)
        assert failure.value.cause is FaultCause.GUEST_UNRESPONSIVE
        assert WORD not in f"{failure.value.message} {failure.value.detail}"
    else:
        setter(world).set_password(guest, WORD)
    assert WORD not in world.driver.console_log(guest, lines=None)
    assert world.driver.power_state(guest) is PowerState.RUNNING
    world.driver.power_off(guest, timeout_seconds=20)
    assert "power button, off" in world.driver.console_log(guest, lines=None)


def test_a_guest_whose_image_says_nothing_of_an_agent_is_not_asked(world: World) -> None:
    guest = world.spawn_ready(guest_spec())
    if setter(world).needs_agent:
        with pytest.raises(GuestFailure, match="QEMU guest agent is not enabled") as failure:
            setter(world).set_password(guest, WORD)
        assert failure.value.cause is FaultCause.NOT_SUPPORTED
    else:
        setter(world).set_password(guest, WORD)
    assert world.driver.power_state(guest) is PowerState.RUNNING


def test_a_guest_that_is_off_gets_no_password(world: World) -> None:
    guest = world.spawn_ready(guest_spec(has_agent=True))
    world.driver.power_off(guest, timeout_seconds=0)
    with pytest.raises(GuestFailure, match="not running"):
        setter(world).set_password(guest, WORD)


def test_a_way_to_an_agent_goes_along_to_another_host(world: World) -> None:
    other = world.another(world.state_dir.parent / "other")
    try:
        spec = guest_spec(has_agent=True)
        guest = world.spawn_ready(spec)
        parcel = world.driver.migrate_out(guest, timeout_seconds=20)  # type: ignore[attr-defined]
        other.driver.take_in(spec, parcel, power_on=True)  # type: ignore[attr-defined]
        other.await_boots(guest, 2)
        world.driver.confirm_move(guest)  # type: ignore[attr-defined]
        if setter(other).needs_agent:
            with pytest.raises(GuestFailure, match="does not answer"):
                setter(other).set_password(guest, WORD)
    finally:
        other.clean_up()
