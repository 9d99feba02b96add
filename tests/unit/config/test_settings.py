"""Settings: every mistake at once, by name, and never a credential shown."""

from datetime import timedelta

import pytest

from config.settings import Settings, SettingsError, read_settings

KEY = "k" * 32


def mistakes(**environ: str) -> list[str]:
    with pytest.raises(SettingsError) as refused:
        read_settings({f"LAYBY_{name}": value for name, value in environ.items()})
    return str(refused.value).splitlines()


def test_nothing_set_is_the_private_servers_and_no_message_leaves_the_machine() -> None:
    settings = read_settings({})
    assert (settings.home, settings.database_url, settings.redis_url) == (None, None, None)
    assert (settings.email_url, settings.sms_url) == ("file://outbox", "file://outbox")
    assert settings.secret_key is None


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_empty_is_unset(name: str) -> None:
    """A Compose file or a CI sets what it does not know to nothing."""
    assert read_settings({f"LAYBY_{name.upper()}": ""}) == read_settings({})


def test_only_the_environment_that_is_handed_over_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once, at the edge: no second look behind the caller's back."""
    monkeypatch.setenv("LAYBY_DATABASE_URL", "postgresql://elsewhere/layby")
    monkeypatch.setenv("LAYBY_REDIS_URL", "")
    monkeypatch.setenv("layby_email_url", "smtp://elsewhere")
    assert read_settings({}) == Settings()
    assert read_settings({}).database_url is None


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("DATABSE_URL", "LAYBY_DATABASE_URL"),
        ("DB_URL", None),
        ("REDIS", "LAYBY_REDIS_URL"),
        ("EMAIL_URI", "LAYBY_EMAIL_URL"),
        ("SECRETKEY", "LAYBY_SECRET_KEY"),
        ("COLOUR", None),
    ],
)
def test_misspelt_setting_is_refused_with_the_nearest_one(name: str, near: str | None) -> None:
    (said,) = mistakes(**{name: "x"})
    assert said.startswith(f"LAYBY_{name} is no setting of Layby. ")
    if near is not None:
        assert said.endswith(f"Did you mean {near}?")
    else:
        assert "LAYBY_DATABASE_URL" in said


def test_the_test_suites_own_variables_are_left_alone() -> None:
    assert read_settings({"LAYBY_TEST_DATABASE_URL": "x", "PATH": "/bin"}) == Settings()


def test_what_the_http_examples_export_does_not_keep_layby_from_starting() -> None:
    """docs/http.md has a shell export them, and call `layby` in the next line."""
    exported = {"LAYBY_URL": "http://127.0.0.1:8000", "LAYBY_TOKEN": "layby_x"}
    assert read_settings(exported) == Settings()


def test_what_kubernetes_sets_beside_a_service_called_layby_is_left_alone() -> None:
    of_the_service = {
        "SERVICE_HOST": "10.0.0.11",
        "SERVICE_PORT": "8000",
        "SERVICE_PORT_HTTP": "8000",
        "PORT": "tcp://10.0.0.11:8000",
        "PORT_8000_TCP": "tcp://10.0.0.11:8000",
        "PORT_8000_TCP_PROTO": "tcp",
        "PORT_8000_TCP_PORT": "8000",
        "PORT_8000_TCP_ADDR": "10.0.0.11",
    }
    for service in ("LAYBY_", "LAYBY_WEB_"):
        environ = {service + name: value for name, value in of_the_service.items()}
        assert read_settings(environ) == Settings()
    assert mistakes(PORT="9000")[0].startswith("LAYBY_PORT is no setting of Layby.")
    (said,) = mistakes(HTTP_PORT="tcp://10.0.0.11:8000")
    assert "layby-http" in said
    assert "enableServiceLinks" in said


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("DATABASE_URL", "mysql://h/x", "LAYBY_DATABASE_URL must start with postgresql://"),
        ("DATABASE_URL", "localhost", "LAYBY_DATABASE_URL must start with postgresql://"),
        ("REDIS_URL", "http://h", "LAYBY_REDIS_URL must start with redis://, rediss:// or unix://"),
        ("SERVERS", "docker", "LAYBY_SERVERS must be any, machine (its own binaries) or wheels"),
        ("HTTP_HOST", "http://h", "LAYBY_HTTP_HOST must be an address or a name alone"),
        ("HTTP_HOST", "h:80", "LAYBY_HTTP_HOST must be an address or a name alone"),
        ("HTTP_PORT", "http", "LAYBY_HTTP_PORT must be a number from 0 (any free port) to 65535"),
        ("HTTP_PORT", "-1", "LAYBY_HTTP_PORT must be a number from 0 (any free port) to 65535"),
        ("HTTP_PORT", "65536", "LAYBY_HTTP_PORT must be a number from 0 (any free port) to 65535"),
        ("SECRET_KEY", "k" * 31, "LAYBY_SECRET_KEY must be at least 32 characters: openssl rand"),
    ],
)
def test_wrong_value_says_what_it_must_be(name: str, value: str, says: str) -> None:
    (said,) = mistakes(**{name: value})
    assert said.startswith(says)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("DATABASE_URL", f"{scheme}://h/layby") for scheme in ("postgresql", "postgres")),
        *(("REDIS_URL", f"{scheme}://h/0") for scheme in ("redis", "rediss", "unix")),
        *(("SERVERS", source) for source in ("any", "machine", "wheels")),
        *(("HTTP_HOST", host) for host in ("127.0.0.1", "::1", "::", "localhost")),
        ("SECRET_KEY", KEY),
    ],
)
def test_right_value_is_taken_as_it_is(name: str, value: str) -> None:
    kept = getattr(read_settings({f"LAYBY_{name}": value}), name.lower())
    assert (kept.get_secret_value() if name == "SECRET_KEY" else kept) == value


def test_every_mistake_is_told_at_once_and_no_value_of_any() -> None:
    said = mistakes(
        DATABSE_URL="postgresql://u:hunter2@h/x",
        DATABASE_URL="mysql://u:hunter2@h/x",
        REDIS_URL="http://:hunter2@h",
        SECRET_KEY="hunter2",
        SERVERS="hunter2",
    )
    assert [line.split()[0] for line in said] == [
        *("LAYBY_DATABSE_URL", "LAYBY_DATABASE_URL", "LAYBY_REDIS_URL"),
        *("LAYBY_SECRET_KEY", "LAYBY_SERVERS"),
    ]
    assert "hunter2" not in "\n".join(said)


def test_no_credential_is_in_a_settings_repr() -> None:
    """Settings are in tracebacks and debuggers."""
    settings = read_settings(
        {
            "LAYBY_DATABASE_URL": "postgresql://u:hunter2@h/x",
            "LAYBY_REDIS_URL": "redis://:hunter2@h",
            "LAYBY_EMAIL_URL": "smtp://u:hunter2@h",
            "LAYBY_SMS_URL": "twilio://u:hunter2@h",
            "LAYBY_SECRET_KEY": f"hunter2{KEY}",
        }
    )
    assert "hunter2" not in f"{settings!r} {settings}"


def test_settings_do_not_change_once_read() -> None:
    with pytest.raises(ValueError, match="frozen"):
        setattr(read_settings({}), "servers", "wheels")  # noqa: B010 - types forbid it too


def test_retention_is_for_days_or_for_ever() -> None:
    settings = read_settings({"LAYBY_KEEP_LEDGER": "P400D", "LAYBY_KEEP_COMMANDS": "forever"})
    assert settings.keep_ledger == timedelta(days=400)
    assert settings.keep_commands is None
    assert read_settings({}).keep_commands == timedelta(days=90)
    assert read_settings({}).keep_journal is read_settings({}).keep_ledger is None


@pytest.mark.parametrize(
    "given", ["90", "PT3600S", "P0D", "-P90D", "90 days", "never", "P9999999999D"]
)
def test_retention_that_is_no_duration_of_days_is_refused(given: str) -> None:
    with pytest.raises(SettingsError, match="LAYBY_KEEP_JOURNAL must be an ISO 8601 duration"):
        read_settings({"LAYBY_KEEP_JOURNAL": given})
