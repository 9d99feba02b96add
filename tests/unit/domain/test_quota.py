"""A plan's room: never more than the limits, and the deltas are what was taken."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.quota import Room

TURNS = st.lists(
    st.sampled_from(["take_active", "take_directory", "leave_active", "leave_directory"])
)
SIZES = st.integers(0, 5)


def used(room: Room) -> tuple[int, int]:
    return room.active_used + room.active_delta, room.directory_used + room.directory_delta


@given(SIZES, SIZES, SIZES, SIZES, TURNS)
def test_room_never_grows_past_a_limit_and_its_deltas_add_up(
    active: int, active_limit: int, directory: int, directory_limit: int, turns: list[str]
) -> None:
    """Also where a plan was lowered below what is in use: no growth, but leaving is free."""
    room = Room(active, active_limit, directory, directory_limit)
    deltas = {"active": 0, "directory": 0}
    for turn in turns:
        before = used(room)
        verb, _, which = turn.partition("_")
        if verb == "leave":
            getattr(room, turn)()
            deltas[which] -= 1
            continue
        limit = active_limit if which == "active" else directory_limit
        fits = before[which == "directory"] < limit
        assert getattr(room, turn)() is fits
        deltas[which] += fits
        assert used(room)[which == "directory"] <= max(limit, before[which == "directory"])
    assert (room.active_delta, room.directory_delta) == (deltas["active"], deltas["directory"])
    assert (room.active_used, room.directory_used) == (active, directory)


@pytest.mark.parametrize(("limit", "taken"), [(0, 0), (1, 1), (3, 3), (9, 5)])
def test_room_takes_as_many_as_fit(limit: int, taken: int) -> None:
    room = Room(active_used=0, active_limit=limit, directory_used=0, directory_limit=limit)
    assert sum(room.take_active() for _ in range(5)) == taken
    assert sum(room.take_directory() for _ in range(5)) == taken


def test_a_full_plans_refusals_name_the_limit_and_the_ways_out() -> None:
    room = Room(active_used=2, active_limit=2, directory_used=10, directory_limit=10)
    assert room.active_full("c-17", "activate").message == (
        "Cannot activate customer c-17: all 2 active places of the plan are taken. Move an active "
        "customer to the directory, or take a larger plan."
    )
    paused = " It is paused instead and hears nothing."
    assert room.directory_full("c-17", "move", paused).message == (
        "Cannot move customer c-17: all 10 places of the directory are taken. It is paused instead "
        "and hears nothing. Purge customers in reserve, activate some, or take a larger plan."
    )
