"""The zones of customers who have named none, kept beside what they are derived from."""

from collections.abc import Sequence

from domain.whereabouts import derived_zone
from storage import customers
from storage.database import Connection


def derive_zones(connection: Connection, account: str, names: Sequence[str]) -> set[str]:
    """Derive anew by number and country, under the locks; returns whose clock that changes."""
    known = customers.read_whereabouts(connection, account, names)
    derived = {one.customer: derived_zone(one.phone, one.country) for one in known}
    changed = [one for one in known if derived[one.customer] != one.derived_zone]
    if changed:
        to = {one.customer: derived[one.customer] for one in changed}
        customers.set_derived_zones(connection, account, to)
    return {one.customer for one in changed if one.zone is None}
