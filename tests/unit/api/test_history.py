"""Every microversion has its sentence, and the advertised maximum follows from the verdicts."""

from kilonova.api.history import HISTORY, MAXIMUM, Step, Verdict, advertised
from kilonova.wire.version import MIN, NOVA_MAX, Microversion


def _steps(*verdicts: Verdict) -> list[Step]:
    return [Step(Microversion(2, minor), "A sentence.", verdict) for minor, verdict in enumerate(verdicts, start=1)]


def test_every_microversion_of_nova_is_listed_once() -> None:
    assert [step.version for step in HISTORY] == [Microversion(2, minor) for minor in range(1, NOVA_MAX.minor + 1)]


def test_every_microversion_has_a_sentence_of_its_own() -> None:
    sentences = [step.says for step in HISTORY]
    assert len(set(sentences)) == len(sentences)
    assert all(sentence[0].isupper() or sentence.startswith("os-") for sentence in sentences)
    assert all(sentence.endswith(".") for sentence in sentences)


def test_the_maximum_lies_before_the_first_absent_version() -> None:
    steps = _steps(Verdict.DONE, Verdict.INERT, Verdict.DONE, Verdict.ABSENT, Verdict.DONE)
    assert advertised(steps) == Microversion(2, 3)


def test_the_first_version_is_always_there() -> None:
    assert advertised(_steps(Verdict.ABSENT)) == MIN


def test_the_whole_of_novas_line_is_advertised() -> None:
    assert MAXIMUM == NOVA_MAX
