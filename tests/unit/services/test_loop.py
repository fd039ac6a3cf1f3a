"""Loops, and the bus that prods them."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from kilonova.bus import CONDUCTOR, host_topic
from kilonova.bus.memory import MemoryBus
from kilonova.services.loop import Loop, Rota

_PATIENCE_SECONDS = 30
_NEVER = 3600.0


class _Work:
    """A step with a script: each entry is what a call returns or raises; after the last nothing is left to do."""

    def __init__(self, *script: bool | Exception) -> None:
        self.script = list(script)
        self.calls = 0

    def __call__(self) -> bool:
        self.calls += 1
        outcome = self.script.pop(0) if self.script else False
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


@contextmanager
def _running(*loops: Loop, most_threads: int = 16) -> Iterator[Loop]:
    rota = Rota("rota", loops, most_threads=most_threads)
    rota.start()
    try:
        yield loops[0]
    finally:
        rota.stop(timeout_seconds=_PATIENCE_SECONDS)


def _sets(looked: threading.Event) -> Callable[[], bool]:
    def look() -> bool:
        looked.set()
        return False

    return look


def _releases(looked: threading.Semaphore) -> Callable[[], bool]:
    def look() -> bool:
        looked.release()
        return False

    return look


def _messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Those of the loop under test: others that run in this process may have something to say as well."""
    told = [record.getMessage() for record in caplog.records]
    return [message for message in told if message.startswith("tidy ")]


def test_a_step_in_the_callers_thread_says_whether_there_was_something_to_do() -> None:
    loop = Loop("tidy", _Work(True, False), period_seconds=_NEVER)
    assert (loop.step(), loop.step()) == (True, False)


def test_what_a_step_in_the_callers_thread_raises_is_the_callers() -> None:
    loop = Loop("tidy", _Work(OSError("disk full")), period_seconds=_NEVER)
    with pytest.raises(OSError, match="disk full"):
        loop.step()


def test_a_loop_that_found_something_looks_again_at_once() -> None:
    loop = Loop("tidy", _Work(True, True), period_seconds=5)
    assert [loop.turn() for _ in range(3)] == [0.0, 0.0, 5.0]


def test_a_loop_that_fails_waits_ever_longer_up_to_a_bound() -> None:
    loop = Loop("tidy", _Work(*[OSError("gone")] * 10), period_seconds=2)
    assert [loop.turn() for _ in range(10)] == [4.0, 6.0, 8.0, 10.0, 12.0, 14.0, 16.0, 18.0, 20.0, 20.0]


def test_a_loop_that_works_again_forgets_its_failures() -> None:
    loop = Loop("tidy", _Work(OSError("gone"), OSError("gone"), False, OSError("gone")), period_seconds=2)
    assert [loop.turn() for _ in range(4)] == [4.0, 6.0, 2.0, 4.0]


def test_the_first_failure_and_the_recovery_are_logged_and_nothing_between(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    loop = Loop("tidy", _Work(OSError("gone"), OSError("gone"), OSError("gone"), False), period_seconds=1)
    for _ in range(5):
        loop.turn()
    assert _messages(caplog) == ["tidy failed; it is retried until it works", "tidy works again after 3 failures"]
    assert "OSError: gone" in caplog.text


def test_a_second_failure_after_a_recovery_is_logged_anew(caplog: pytest.LogCaptureFixture) -> None:
    loop = Loop("tidy", _Work(OSError("gone"), False, OSError("gone")), period_seconds=1)
    for _ in range(3):
        loop.turn()
    assert _messages(caplog).count("tidy failed; it is retried until it works") == 2


def test_a_started_loop_looks_without_being_prodded() -> None:
    looked = threading.Event()
    with _running(Loop("tidy", _sets(looked), period_seconds=_NEVER)):
        assert looked.wait(_PATIENCE_SECONDS)


def test_a_prod_wakes_a_loop_long_before_its_period_is_over() -> None:
    looks: list[threading.Event] = [threading.Event(), threading.Event()]
    left = iter(looks)

    def look() -> bool:
        next(left).set()
        return False

    with _running(Loop("tidy", look, period_seconds=_NEVER)) as loop:
        assert looks[0].wait(_PATIENCE_SECONDS)
        loop.prod()
        assert looks[1].wait(_PATIENCE_SECONDS)


def test_a_prod_during_a_step_is_not_lost() -> None:
    begun, finish, again = threading.Event(), threading.Event(), threading.Event()

    def look() -> bool:
        if begun.is_set():
            again.set()
            return False
        begun.set()
        finish.wait(_PATIENCE_SECONDS)
        return False

    with _running(Loop("tidy", look, period_seconds=_NEVER)) as loop:
        assert begun.wait(_PATIENCE_SECONDS)
        loop.prod()
        finish.set()
        assert again.wait(_PATIENCE_SECONDS)


def test_a_loop_outlives_a_step_that_fails() -> None:
    worked = threading.Event()
    outcomes = iter([OSError("gone"), OSError("gone")])

    def look() -> bool:
        failure = next(outcomes, None)
        if failure:
            raise failure
        worked.set()
        return False

    with _running(Loop("tidy", look, period_seconds=0.001)):
        assert worked.wait(_PATIENCE_SECONDS)


def test_a_stopped_loop_ends_at_once_however_long_its_period() -> None:
    for _ in range(200):
        rota = Rota("rota", [Loop("tidy", lambda: False, period_seconds=_NEVER)])
        rota.start()
        rota.stop(timeout_seconds=_PATIENCE_SECONDS)
        assert "tidy" not in {thread.name for thread in threading.enumerate()}


def test_a_rota_that_never_began_can_be_stopped() -> None:
    Rota("rota", [Loop("tidy", lambda: False, period_seconds=_NEVER)]).stop()


def test_a_prod_of_a_loop_that_nobody_runs_is_no_error() -> None:
    Loop("tidy", lambda: False, period_seconds=_NEVER).prod()


def test_many_loops_take_turns_on_one_thread() -> None:
    left = threading.Semaphore(0)
    loops = [Loop(f"loop {n}", _releases(left), period_seconds=None) for n in range(500)]
    with _running(*loops, most_threads=1):
        for loop in loops:
            loop.prod()
        assert all(left.acquire(timeout=_PATIENCE_SECONDS) for _ in loops)


def test_a_loop_without_a_period_waits_for_a_prod() -> None:
    loop = Loop("tidy", _Work(True, False), period_seconds=None)
    assert [loop.turn(), loop.turn()] == [0.0, None]


def test_a_loop_without_a_period_is_tried_again_when_it_failed() -> None:
    loop = Loop("tidy", _Work(OSError("gone"), False), period_seconds=None)
    assert [loop.turn(), loop.turn()] == [2.0, None]


def test_a_hanging_loop_keeps_no_other_from_its_turns() -> None:
    hung, finish, looked = threading.Event(), threading.Event(), threading.Semaphore(0)

    def hang() -> bool:
        hung.set()
        return finish.wait(_PATIENCE_SECONDS) and False

    with _running(Loop("hangs", hang, period_seconds=_NEVER), Loop("goes on", _releases(looked), period_seconds=0.001)):
        assert hung.wait(_PATIENCE_SECONDS)
        assert all(looked.acquire(timeout=_PATIENCE_SECONDS) for _ in range(20))
        finish.set()


def test_the_turns_of_a_loop_never_overlap() -> None:
    guard, turns = threading.Lock(), threading.Semaphore(0)

    def look() -> bool:
        assert guard.acquire(blocking=False)
        guard.release()
        turns.release()
        return False

    with _running(Loop("tidy", look, period_seconds=0.0), most_threads=8) as loop:
        for _ in range(2000):
            loop.prod()
        assert all(turns.acquire(timeout=_PATIENCE_SECONDS) for _ in range(100))
        assert not loop.is_failing


def test_jitter_moves_a_turn_by_no_more_than_its_part_of_the_period() -> None:
    loop = Loop("beat", lambda: False, period_seconds=10, jitter=0.1)
    pauses = [loop.pause() for _ in range(200)]
    assert all(pause is not None and 9 <= pause <= 11 for pause in pauses)
    assert len(set(pauses)) > 1


def test_a_loop_stops_although_there_is_always_something_to_do() -> None:
    with _running(Loop("tidy", lambda: True, period_seconds=_NEVER)):
        pass
    assert "tidy" not in {thread.name for thread in threading.enumerate()}


def test_a_prod_over_the_bus_wakes_the_loops_of_its_topic_only() -> None:
    bus, looked = MemoryBus(), threading.Event()
    mine = Loop("mine", _sets(looked), period_seconds=_NEVER)
    heard: list[str] = []
    bus.listen(host_topic("cmp1"), mine.prod)
    bus.listen(host_topic("cmp1"), lambda: heard.append("cmp1"))
    bus.listen(host_topic("cmp2"), lambda: heard.append("cmp2"))
    with _running(mine):
        assert looked.wait(_PATIENCE_SECONDS)
        looked.clear()
        bus.prod(host_topic("cmp1"))
        assert looked.wait(_PATIENCE_SECONDS)
    assert heard == ["cmp1"]


def test_a_prod_that_nobody_hears_is_no_error() -> None:
    MemoryBus().prod(CONDUCTOR)


def test_whoever_hears_a_prod_may_prod_and_listen_in_turn() -> None:
    bus, heard = MemoryBus(), list[str]()

    def hear() -> None:
        bus.listen("late", lambda: heard.append("late"))
        bus.prod("late")

    bus.listen("early", hear)
    bus.prod("early")
    assert heard == ["late"]


def test_hosts_have_topics_of_their_own() -> None:
    assert host_topic("conductor") != CONDUCTOR
