"""Turns, and the herald: who comes when."""

import threading

import pytest

from kilonova.domain.states import PowerState
from kilonova.drivers.herald import Herald
from kilonova.drivers.protocol import GuestEvent, GuestEventKind
from kilonova.drivers.turns import Turns


def event(uuid: str) -> GuestEvent:
    return GuestEvent(uuid=uuid, kind=GuestEventKind.STOPPED, power_state=PowerState.SHUTDOWN)


def test_one_key_is_held_by_one_at_a_time() -> None:
    turns, inside, together = Turns(), threading.Lock(), []

    def visit() -> None:
        with turns.take("a"):
            together.append(inside.acquire(blocking=False))
            inside.release()

    visitors = [threading.Thread(target=visit) for _ in range(8)]
    for visitor in visitors:
        visitor.start()
    for visitor in visitors:
        visitor.join()
    assert together == [True] * 8


def test_keys_do_not_wait_for_one_another() -> None:
    turns = Turns()
    with turns.take("a"), turns.take("b"):
        pass


def test_all_is_idle_once_everybody_left_also_by_an_error() -> None:
    turns = Turns()
    with turns.take("a"):
        assert not turns.wait_idle(0)
    with pytest.raises(ValueError, match="oops"), turns.take("a"):
        raise ValueError("oops")
    assert turns.wait_idle(0)


def test_the_listener_hears_everything_in_order_also_after_it_failed() -> None:
    heard: list[str] = []

    def listen(told: GuestEvent) -> None:
        heard.append(told.uuid)
        if told.uuid == "1":
            raise RuntimeError("a listener's own trouble")

    herald = Herald(listen)
    for number in range(4):
        herald.announce(event(str(number)))
    herald.close()
    assert heard == ["0", "1", "2", "3"]
