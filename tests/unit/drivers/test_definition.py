"""Where a guest's network cards are: each keeps its place for as long as it is there."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from kilonova.domain.errors import GuestFailure
from kilonova.drivers.instances.definition import (
    DEFINITION_FILE,
    PLACES,
    Definition,
    find_definition,
    placed,
    save_definition,
)
from kilonova.drivers.protocol import GuestSpec, Nic


def card(number: int) -> Nic:
    return Nic(mac=f"fa:16:3e:00:00:{number:02x}", address=f"10.0.0.{number}", label="private")


A, B, C = card(1), card(2), card(3)
GUEST = Definition.of(
    GuestSpec(
        uuid="11111111-2222-4333-8444-555555555555",
        name="instance-00000001",
        display_name="web",
        project_id="p",
        user_id="u",
        vcpus=1,
        memory_mb=16,
        root_gb=0,
        image=None,
        nics=(A, B),
    )
)


def test_a_card_that_goes_leaves_its_place_free_and_the_next_gets_it() -> None:
    left = replace(GUEST, nics=GUEST.nics_with(0, None))
    assert (left.cards, left.place_of(B.mac), left.place_of(A.mac)) == (((1, B),), 1, None)
    assert left.free_place == 0
    assert left.nics_with(0, C) == (C, B)
    assert left.nics_with(1, None) == ()
    assert GUEST.nics_with(3, C) == (A, B, None, C)


def test_cards_find_their_places_on_another_host() -> None:
    left = replace(GUEST, nics=(None, B, None, A))
    assert placed((A, B), left.places) == left.nics
    assert placed((C, B), left.places) == (C, B)
    assert placed((A, B, C), left.places) == (C, B, None, A)
    assert placed((A, B), ()) == (A, B)
    assert placed((), left.places) == ()


def test_places_are_written_down(tmp_path: Path) -> None:
    left = replace(GUEST, nics=(None, B), unwanted=((0, A), (2, C)), unsure=(1,))
    save_definition(tmp_path, left)
    assert find_definition(tmp_path) == left


def test_a_definition_of_a_version_that_had_no_doubts_is_read(tmp_path: Path) -> None:
    save_definition(tmp_path, GUEST)
    kept = json.loads((tmp_path / DEFINITION_FILE).read_text("utf-8"))
    del kept["unwanted"], kept["unsure"]
    (tmp_path / DEFINITION_FILE).write_text(json.dumps(kept), "utf-8")
    assert find_definition(tmp_path) == GUEST


def test_a_card_that_is_not_wanted_is_no_card_of_the_guests_and_keeps_its_place() -> None:
    left = GUEST.without_card(0, unwanted=A)
    assert (left.cards, left.places, left.place_of(A.mac)) == (((1, B),), (None, B.mac), None)
    assert (left.find_card(A.mac), left.find_card(B.mac), left.find_card(C.mac)) == ((0, A), (1, B), None)
    assert left.free_place == 2
    assert left.without_card(0) == replace(GUEST, nics=(None, B))
    assert left.with_card(0, A) == replace(GUEST, unsure=(0,)), "it may have been asked to go"


def test_doubts_go_with_the_card() -> None:
    asked = GUEST.unsurely_with(1).unsurely_with(0).unsurely_with(1)
    assert asked.unsure == (0, 1)
    assert asked.surely_with(0).unsure == (1,)
    assert asked.without_card(1).unsure == (0,)
    assert asked.with_card(2, C).unsure == (0, 1)


def test_there_is_an_end_to_the_places() -> None:
    full = replace(GUEST, nics=tuple(card(number) for number in range(PLACES)))
    with pytest.raises(GuestFailure, match="as many network cards"):
        assert full.free_place
