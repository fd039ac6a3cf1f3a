"""A crew does its work side by side, and no more of it than it has hands for."""

import threading

from kilonova.services.crew import Crew

_PATIENCE_SECONDS = 30


def test_a_crew_does_no_more_at_the_same_time_than_it_may() -> None:
    crew, lock, done = Crew(most=3), threading.Lock(), threading.Semaphore(0)
    busy, most_busy = [0], [0]

    def work() -> None:
        with lock:
            busy[0] += 1
            most_busy[0] = max(most_busy[0], busy[0])
        with lock:
            busy[0] -= 1
        done.release()

    for number in range(200):
        crew.begin(f"work {number}", work)
    assert all(done.acquire(timeout=_PATIENCE_SECONDS) for _ in range(200))
    assert 1 <= most_busy[0] <= 3


def test_work_that_waits_is_done_once_a_hand_is_free() -> None:
    crew, first, second = Crew(most=1), threading.Event(), threading.Event()
    crew.begin("first", lambda: (first.wait(_PATIENCE_SECONDS), None)[1])
    crew.begin("second", second.set)
    assert not second.is_set()
    first.set()
    assert second.wait(_PATIENCE_SECONDS)
