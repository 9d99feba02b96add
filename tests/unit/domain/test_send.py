"""A send's states: what is final, what can be resolved, and how often it is tried again."""

from datetime import timedelta

import pytest

from domain.message import Answer
from domain.send import AFTER_ANSWER, FINAL_STATES, MOVES, RETRY_AFTER, SendState, retry_after


def test_every_state_says_where_it_can_go() -> None:
    assert set(MOVES) == set(SendState)


def test_only_unknown_leaves_the_ledger_unfinished() -> None:
    """DESIGN, section 4: of what is in the ledger, only an unknown send is later resolved."""
    assert {state for state in FINAL_STATES if MOVES[state]} == {SendState.UNKNOWN}
    assert MOVES[SendState.UNKNOWN] == {SendState.SENT, SendState.FAILED}


def test_ledger_holds_every_state_but_the_two_tables() -> None:
    assert {*FINAL_STATES, SendState.PENDING, SendState.STARTED} == set(SendState)


def test_nothing_is_sent_that_was_not_started() -> None:
    before = {state for state, after in MOVES.items() if SendState.SENT in after}
    assert before == {SendState.STARTED, SendState.UNKNOWN}


def test_nothing_unknown_is_tried_again() -> None:
    """G4: it may have been delivered."""
    back = {state for state, after in MOVES.items() if SendState.PENDING in after}
    assert back == {SendState.STARTED}


@pytest.mark.parametrize("answer", list(Answer))
def test_every_answer_moves_a_started_send_where_it_can_go(answer: Answer) -> None:
    """Back to pending only for a definite no for now, or what was never handed over."""
    after = AFTER_ANSWER.get(answer, SendState.PENDING)
    assert after in MOVES[SendState.STARTED]
    again = answer in (Answer.TEMPORARY, Answer.NOT_HANDED_OVER)
    assert (after is SendState.PENDING) is again


def test_waits_grow_with_each_refusal_until_there_are_no_more_attempts() -> None:
    waits = [retry_after(attempts) for attempts in range(1, len(RETRY_AFTER) + 1)]
    assert waits == sorted(RETRY_AFTER)
    assert len(set(waits)) == len(waits)
    assert waits[0] is not None
    assert waits[0] >= timedelta(seconds=1)
    later = [retry_after(attempts) for attempts in range(len(RETRY_AFTER) + 1, 50)]
    assert set(later) == {None}
