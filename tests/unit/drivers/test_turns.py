"""Turns, and the herald: who comes when."""

import threading

import pytest

from kilonova.domain.states import PowerState
from kilonova.drivers.herald import Herald
from kilonova.drivers.instances.mender import Mender
from kilonova.drivers.protocol import GuestEvent, GuestEventKind
from kilonova.drivers.turns import Turns
from tests.waiting import wait_until


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


def test_a_turn_that_is_had_only_if_it_is_free_neither_waits_nor_is_awaited() -> None:
    turns = Turns()
    with turns.take("a"):
        with turns.take_if_free("a") as is_free:
            assert not is_free
            assert not turns.is_awaited("a")
        with turns.take_if_free("b") as is_free, turns.take_if_free("b") as is_free_again:
            assert (is_free, is_free_again) == (True, False)
            assert not turns.wait_idle(0)
    assert turns.wait_idle(0)


def test_who_comes_after_one_that_took_a_free_turn_waits_for_it() -> None:
    turns, came = Turns(), threading.Event()

    def visit() -> None:
        with turns.take("a"):
            came.set()

    visitor = threading.Thread(target=visit)
    with turns.take_if_free("a"):
        visitor.start()
        wait_until(lambda: turns.is_awaited("a"), "the visitor")
        assert not came.is_set()
    visitor.join()
    assert came.is_set()


def test_what_is_mended_is_mended_once_more_if_that_is_wanted_meanwhile_and_never_beside_a_verb() -> None:
    turns, done, began, goes_on = Turns(), list[int](), threading.Event(), threading.Event()

    def mend() -> None:
        done.append(len(done))
        began.set()
        goes_on.wait()

    mender = Mender("a", turns, mend)
    mender.begin()
    began.wait()
    mender.begin()
    goes_on.set()
    wait_until(lambda: len(done) == 2 and turns.wait_idle(0), "the second time")
    with turns.take("a"):
        mender.begin()
        mender.end()
    mender.begin()
    mender.end()
    assert len(done) == 2
