"""Tokens: shown once, kept as a hash, ending when they should, and never told to anybody else."""

from datetime import UTC, datetime, timedelta

import httpx
import pytest
from harness import KEY, Layby
from web_door import Door

from domain.access import LONGEST_LIFE, USUAL_LIFE, Role
from storage import tokens
from storage.database import Engine
from web.bearer import UnknownTokenError, make_token, recognise


def status(door: Door, token: str) -> int:
    with door.client(token) as client:
        return client.get("/v1/customers").status_code


def test_made_token_is_shown_once_and_kept_as_a_hash(
    layby: Layby, door: Door, admin: httpx.Client
) -> None:
    made = admin.post("/v1/tokens", json={"role": "operator", "label": "billing"}).json()
    assert (made["account"], made["role"], made["label"]) == ("acme", "operator", "billing")
    assert status(door, made["secret"]) == 200
    secret = made["secret"].split("_", 2)[2]
    kept = str(layby.rows("SELECT * FROM tokens"))
    assert secret not in kept
    listed = admin.get("/v1/tokens")
    assert secret not in listed.text
    assert made["token"] in {one["token"] for one in listed.json()["tokens"]}
    assert all("secret" not in one and "secret_hash" not in one for one in listed.json()["tokens"])


def test_token_lives_as_long_as_asked_within_bounds(admin: httpx.Client) -> None:
    def life(**wanted: int) -> timedelta:
        made = admin.post("/v1/tokens", json={"role": "viewer", **wanted}).json()
        created, expires = (
            datetime.fromisoformat(made[name]) for name in ("created_at", "expires_at")
        )
        return expires - created

    assert life() == USUAL_LIFE
    assert life(days=7) == timedelta(days=7)
    for days in (0, LONGEST_LIFE.days + 1):
        asked = admin.post("/v1/tokens", json={"role": "viewer", "days": days})
        assert asked.status_code == 422, asked.text


def test_expired_token_is_refused_and_says_so_to_its_holder_only(layby: Layby, door: Door) -> None:
    token = door.token()
    with layby.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE tokens SET expires_at = now()")
    with door.client(token) as holder, door.client(token[:-1] + "~") as other:
        told = holder.get("/v1/customers")
        assert (told.status_code, "has expired" in told.json()["detail"]) == (401, True)
        assert "not known" in other.get("/v1/customers").json()["detail"]


def test_revoked_token_is_refused_from_then_on(door: Door, admin: httpx.Client) -> None:
    made = admin.post("/v1/tokens", json={"role": "viewer"}).json()
    assert status(door, made["secret"]) == 200
    assert admin.delete(f"/v1/tokens/{made['token']}").status_code == 204
    assert status(door, made["secret"]) == 401
    assert admin.delete(f"/v1/tokens/{made['token']}").status_code == 204
    (ended,) = [
        one for one in admin.get("/v1/tokens").json()["tokens"] if one["token"] == made["token"]
    ]
    assert ended["revoked_at"] is not None


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
def test_only_admins_make_list_and_revoke(door: Door, role: Role) -> None:
    with door.client(door.token(role=role)) as client:
        assert client.post("/v1/tokens", json={"role": "viewer"}).status_code == 403
        assert client.get("/v1/tokens").status_code == 403
        assert client.delete("/v1/tokens/abc").status_code == 403
        assert client.post("/v1/tick").status_code == (403 if role is Role.VIEWER else 200)


NO_GOOD = [
    None,
    "",
    "Bearer",
    "Bearer x",
    "Basic YTpi",
    "Bearer layby_0123456789abcdef_" + "A" * 43,
    "Bearer layby_0123456789abcdef_" + "\xff" * 43,
    "Bearer " + "layby_" * 2000,
]


def test_whoever_has_no_good_token_is_told_how_to_get_one(door: Door) -> None:
    with door.client() as client:
        for header in NO_GOOD:
            headers = [(b"Authorization", header.encode("latin-1"))] if header is not None else []
            answered = client.get("/v1/customers", headers=headers)
            assert answered.status_code == 401, header
            assert answered.headers["www-authenticate"].startswith("Bearer")
            assert "layby token create" in answered.json()["detail"]


def test_every_part_of_a_token_counts(door: Door) -> None:
    """The same id with another secret, and a secret under another id, are nobody's."""
    one, two = door.token().split("_", 2), door.token().split("_", 2)
    assert status(door, "_".join(one)) == 200
    assert status(door, "_".join([*one[:2], two[2]])) == 401
    assert status(door, "_".join(["layby", one[1], one[2][:-1]])) == 401
    assert status(door, "_".join(one).upper()) == 401


def test_hash_planted_without_the_installations_key_is_good_for_nothing(engine: Engine) -> None:
    with engine.begin() as connection:
        _, planted = make_token(
            connection,
            b"another installation's key, as long",
            account="acme",
            role=Role.ADMIN,
            label="",
            made_by="",
            life=USUAL_LIFE,
        )
        with pytest.raises(UnknownTokenError, match="not known"):
            recognise(connection, KEY, planted)


def test_day_of_the_last_use_is_remembered_and_written_once(layby: Layby, door: Door) -> None:
    token = door.token()
    assert layby.one("SELECT last_used_on FROM tokens") is None
    assert status(door, token) == 200
    first = layby.rows("SELECT last_used_on, xmin::text FROM tokens")
    assert first[0][0] in (datetime.now(UTC).date(), datetime.now().astimezone().date())
    assert status(door, token) == 200
    assert layby.rows("SELECT last_used_on, xmin::text FROM tokens") == first


def test_tokens_are_listed_the_newest_first_of_one_account_or_all(engine: Engine) -> None:
    with engine.begin() as connection:
        for account in ("acme", "globex", ""):
            make_token(
                connection,
                KEY,
                account=account,
                role=Role.VIEWER,
                label="",
                made_by="test",
                life=USUAL_LIFE,
            )
    with engine.connect() as connection:
        assert [one.account for one in tokens.list_tokens(connection, "acme")] == ["acme"]
        assert {one.account for one in tokens.list_tokens(connection, None)} == {
            *("acme", "globex", "")
        }
