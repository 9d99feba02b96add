"""Who may do what through a door that not everybody is trusted at: accounts, roles, lifetimes."""

from datetime import timedelta
from enum import StrEnum

from domain.commands import Command, CustomerCommand, ImportCustomers

INSTALLATION = ""
"""In place of an account: the whole installation, every account."""

USUAL_LIFE = timedelta(days=90)
"""How long a token lives unless said otherwise."""

LONGEST_LIFE = timedelta(days=366)


class Role(StrEnum):
    """What a token lets do; each may also do what those before it may."""

    VIEWER = "viewer"
    """Read."""
    OPERATOR = "operator"
    """Send customers' commands, and tick."""
    ADMIN = "admin"
    """Send set-up commands, and make and revoke tokens."""

    def covers(self, other: "Role") -> bool:
        roles = list(Role)
        return roles.index(self) >= roles.index(other)


def role_for(command: Command) -> Role:
    """The least role that may send this command; whatever is no customer's command is set-up."""
    return Role.OPERATOR if isinstance(command, CustomerCommand | ImportCustomers) else Role.ADMIN


def reaches(own: str, account: str) -> bool:
    """Whether a token of `own` may see or touch this account."""
    return own in (INSTALLATION, account)
