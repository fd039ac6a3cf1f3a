import subprocess
import sys

import pytest
from argon2 import PasswordHasher

from kilonova.domain.model import SECOND, Instant
from kilonova.identity.passwords import GuessBrake, Passwords

THEN = Instant(1_795_000_000 * SECOND)


def at(seconds: float) -> Instant:
    return Instant(THEN + round(seconds * SECOND))


def test_only_the_password_that_was_hashed_is_accepted() -> None:
    passwords = Passwords()
    hashed = passwords.hash("lovelace")
    assert hashed.startswith("$argon2id$")
    assert "lovelace" not in hashed
    assert passwords.verify(hashed, "lovelace")
    assert not passwords.verify(hashed, "Lovelace")


def test_without_a_hash_every_password_is_wrong() -> None:
    passwords = Passwords()
    assert not passwords.verify(None, "")
    assert not passwords.verify("not a hash", "x")


def test_a_hash_with_other_parameters_is_outdated() -> None:
    passwords = Passwords()
    weak = PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1).hash("x")
    assert passwords.verify(weak, "x")
    assert passwords.is_outdated(weak)
    assert not passwords.is_outdated(passwords.hash("x"))


def test_guessing_is_braked_after_too_many_failures_and_free_again_after_the_window() -> None:
    brake = GuessBrake(most=3, window_seconds=60)
    for second in range(3):
        assert not brake.is_on("ada", at(second))
        brake.failed("ada", at(second))
    assert brake.is_on("ada", at(59))
    assert not brake.is_on("eve", at(59))
    assert not brake.is_on("ada", at(60))


def test_failures_in_different_windows_do_not_add_up() -> None:
    brake = GuessBrake(most=2, window_seconds=60)
    brake.failed("ada", at(0))
    brake.failed("ada", at(61))
    assert not brake.is_on("ada", at(62))


def test_a_success_forgives_earlier_failures() -> None:
    brake = GuessBrake(most=2, window_seconds=60)
    brake.failed("ada", at(0))
    brake.succeeded("ada")
    brake.failed("ada", at(1))
    assert not brake.is_on("ada", at(2))


def test_the_brake_remembers_a_bounded_number_of_names() -> None:
    brake = GuessBrake(most=1, window_seconds=60, names=2)
    for name in ("a", "b", "c"):
        brake.failed(name, at(0))
    assert not brake.is_on("a", at(1))
    assert brake.is_on("c", at(1))


_MANY = """
from resource import RUSAGE_SELF, getrusage
from threading import Thread
from kilonova.identity.passwords import Passwords

passwords = Passwords()
hashed = passwords.hash("x")
before = getrusage(RUSAGE_SELF).ru_maxrss
threads = [Thread(target=passwords.verify, args=(hashed, "x")) for _ in range(12)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(getrusage(RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.slow
def test_many_sign_ins_at_once_take_the_memory_of_one() -> None:
    done = subprocess.run([sys.executable, "-c", _MANY], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 30 * 1024
