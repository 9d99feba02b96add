"""Which role may send which command, and whose accounts a token reaches."""

from typing import get_args

import pytest

from domain.access import INSTALLATION, Role, reaches, role_for
from domain.commands import Command
from domain.journey import Kind

SET_UP = {Kind.PUT_ACCOUNT, Kind.PUT_SCHEDULE, Kind.PUT_TEMPLATE}


@pytest.mark.parametrize("model", get_args(Command))
def test_customers_commands_are_for_operators_and_set_up_is_for_admins(model: type) -> None:
    """Every command there is, so that a new one is thought of."""
    (kind,) = get_args(model.model_fields["kind"].annotation)  # type: ignore[attr-defined]
    made = model.model_construct(kind=kind)  # type: ignore[attr-defined]
    assert role_for(made) is (Role.ADMIN if kind in SET_UP else Role.OPERATOR)


def test_each_role_covers_those_before_it() -> None:
    roles = list(Role)
    assert [[one.covers(other) for other in roles] for one in roles] == [
        [True, False, False],
        [True, True, False],
        [True, True, True],
    ]


def test_a_token_reaches_its_own_account_or_with_the_installations_every_one() -> None:
    assert reaches("acme", "acme")
    assert not reaches("acme", "globex")
    assert not reaches("acme", INSTALLATION)
    assert reaches(INSTALLATION, "globex")
