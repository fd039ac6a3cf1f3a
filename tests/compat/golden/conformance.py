"""How far Kilonova conforms to the golden data, as the blocks of a reference page."""

from collections import Counter
from collections.abc import Iterable, Iterator

from tests.compat.golden import not_yet
from tests.compat.golden.golden_data import Sample, captures, samples
from tests.compat.golden.outside import FAILING, MORE, REFUSED, UNASKED, UNCOMPARED, refusal, unasked_because

_INTRODUCTION = (
    "`tests/compat/golden` asks a whole plane, over HTTP, what Nova's documentation has samples of, and what a real "
    "Nova was once asked. A sample of an answer must come back with the same keys, types and spellings at its "
    "microversion; a sample of a request must be accepted. A recorded answer must have the same status and headers, "
    "the same error to the letter, or a body of the same shape. `tests/data/README.md` says where the data comes from."
)
_NOT_YET = (
    "Each of these is strict: its test fails as soon as it conforms, and asks to be struck off "
    "`tests/compat/golden/not_yet.txt`. `python -m tests.compat.golden` tells what differs, and "
    "brings that list up to date with `--rewrite`."
)


def blocks() -> Iterator[str]:
    """The page's blocks, without its head."""
    waiting = not_yet.reasons()
    yield _INTRODUCTION
    yield _summary(waiting)
    yield "## Samples by API"
    yield _table("API | Samples | Conform | Refused | Do not apply | Not yet", _by_api(waiting))
    yield "## What does not apply"
    yield "Requests that are refused, as Nova refuses what a cloud does not have, and shapes that nothing here has."
    yield _table("Samples or recorded answers | Refused with | Why", _exceptions())
    yield "## What does not conform yet"
    yield _NOT_YET
    yield _table("Why | Samples | Recorded answers | APIs", _waiting(waiting))


def _summary(waiting: dict[str, str]) -> str:
    verdicts = Counter(_verdict(sample, waiting) for sample in samples())
    recorded = len(captures()) - len(UNCOMPARED)
    open_ones = sum("@" in name for name in waiting)
    return (
        f"**{verdicts['conform']} of {len(samples())} samples conform**; {verdicts['refused']} are refused, "
        f"{verdicts['unasked']} do not apply, {verdicts['not yet']} do not conform yet. "
        f"**{recorded - open_ones} of {len(captures())} recorded answers are the same**; "
        f"{len(UNCOMPARED)} does not apply, {open_ones} are not the same yet."
    )


def _verdict(sample: Sample, waiting: dict[str, str]) -> str:
    if unasked_because(sample):
        return "unasked"
    if sample.path in waiting:
        return "not yet"
    return "refused" if refusal(sample) else "conform"


def _by_api(waiting: dict[str, str]) -> Iterator[list[str]]:
    counted = Counter((sample.api, _verdict(sample, waiting)) for sample in samples())
    for api in sorted({sample.api for sample in samples()}):
        numbers = [counted[api, verdict] for verdict in ("conform", "refused", "unasked", "not yet")]
        yield [api, str(sum(numbers)), *(str(number or "") for number in numbers)]


def _exceptions() -> Iterator[list[str]]:
    yield from ([f"`{pattern}`", str(status), why] for pattern, (status, why) in REFUSED.items())
    yield from ([f"`{pattern}`", "", f"a header more, `{name}`: {why}"] for pattern, (name, why) in MORE.items())
    yield from ([f"`{pattern}`", "", why] for pattern, why in {**FAILING, **UNASKED, **UNCOMPARED}.items())


def _waiting(waiting: dict[str, str]) -> Iterator[list[str]]:
    for reason, count in sorted(Counter(waiting.values()).items(), key=lambda each: (-each[1], each[0])):
        members = [name for name in waiting if waiting[name] == reason]
        recorded = [name for name in members if "@" in name]
        apis = sorted({name.split("/")[0] for name in members if name not in recorded})
        yield [reason, str(count - len(recorded) or ""), str(len(recorded) or ""), ", ".join(apis)]


def _table(head: str, rows: Iterable[list[str]]) -> str:
    lines = [f"| {head} |", "|" + "---|" * len(head.split(" | "))]
    return "\n".join(lines + [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows])
