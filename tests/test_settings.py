"""Settings are declared once, read from everywhere, and refused with their names."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kanca.errors import InvalidSetting
from kanca.settings import FROM_FILES, Settings, load_settings, redacted, setting_sources, to_environment

ADMIN_KEY = "topsecret-topsecret"


def test_without_anything_the_defaults_hold() -> None:
    settings = load_settings({})
    assert settings.database_url == "sqlite:///kanca.db"
    assert settings.port == 8000


def test_the_environment_wins_over_the_file_and_an_argument_over_both(tmp_path: Path) -> None:
    file = tmp_path / "kanca.toml"
    file.write_text('port = 9000\nhost = "::1"\nworkers = 3\negress_allow = ["10.0.0.0/8"]\n')
    environ = {"KANCA_CONFIG": str(file), "KANCA_PORT": "9001", "KANCA_WORKERS": "4"}
    settings = load_settings(environ, workers=5, gateways=None)
    assert (settings.host, settings.port, settings.workers) == ("::1", 9001, 5)
    assert settings.egress_allow == ("10.0.0.0/8",)


def test_lists_are_separated_by_commas_in_the_environment() -> None:
    settings = load_settings({"KANCA_TRUSTED_PROXIES": "10.0.0.0/8, ::1 ,"})
    assert settings.trusted_proxies == ("10.0.0.0/8", "::1")


def test_a_list_whose_values_have_commas_is_json_in_the_environment() -> None:
    environ = {"KANCA_ALERT_URLS": '["mailto://kanca?to=a@b.example,c@d.example", "json://localhost"]'}
    assert load_settings(environ).alert_urls == (
        "mailto://kanca?to=a@b.example,c@d.example",
        "json://localhost",
    )


def test_an_address_in_brackets_is_no_json() -> None:
    assert load_settings({"KANCA_EGRESS_ALLOW": "[::1],example.com"}).egress_allow == ("[::1]", "example.com")


def test_a_list_of_other_things_than_texts_is_refused() -> None:
    with pytest.raises(InvalidSetting, match="KANCA_EGRESS_ALLOW"):
        load_settings({"KANCA_EGRESS_ALLOW": "[1, 2]"})


@pytest.mark.parametrize(
    ("name", "value"),
    [("KANCA_PORT", "99999"), ("KANCA_LOG_LEVEL", "loud"), ("KANCA_RETENTION_DAYS", "soon")],
)
def test_an_impossible_value_is_refused_with_the_settings_name(name: str, value: str) -> None:
    with pytest.raises(InvalidSetting, match=name):
        load_settings({name: value})


def test_an_unknown_name_in_the_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "kanca.toml"
    file.write_text("prot = 9000\n")
    with pytest.raises(InvalidSetting, match="prot: there is no such setting"):
        load_settings({"KANCA_CONFIG": str(file)})


def test_a_file_that_is_named_must_be_there_and_be_toml(tmp_path: Path) -> None:
    with pytest.raises(InvalidSetting, match="not there"):
        load_settings({"KANCA_CONFIG": str(tmp_path / "absent.toml")})
    file = tmp_path / "kanca.toml"
    file.write_text("port: 9000")
    with pytest.raises(InvalidSetting, match="not valid TOML"):
        load_settings({"KANCA_CONFIG": str(file)})


def test_a_child_reads_the_very_same_settings() -> None:
    settings = Settings(
        secret_key="k" * 32,
        egress_allow=("10.0.0.0/8", "example.com"),
        outbox_urls=("postgresql://one,two/shop",),
        require_https=True,
        port=0,
    )
    assert load_settings(to_environment(settings)) == settings


def test_secrets_do_not_show() -> None:
    assert ADMIN_KEY not in repr(load_settings({"KANCA_ADMIN_KEY": ADMIN_KEY}))


def test_every_setting_says_where_its_value_comes_from(tmp_path: Path) -> None:
    file = tmp_path / "kanca.toml"
    file.write_text("port = 9000\nworkers = 2\n")

    sources = setting_sources({"KANCA_CONFIG": str(file), "KANCA_PORT": "9001"})

    assert (sources["port"], sources["workers"], sources["host"]) == ("environment", str(file), "default")
    assert sources.keys() == Settings.model_fields.keys()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("sqlite:///kanca.db", "sqlite:///kanca.db"),
        ("postgresql://me@there/db", "postgresql://me@there/db"),
        ("postgresql://me:p@ss/w:rd@there:5432/db", "postgresql://me:***@there:5432/db"),
        ("postgresql://me@there:5432/db?options=a@b", "postgresql://me@there:5432/db?options=a@b"),
        (
            "postgresql://me@/db?host=/run&password=hidden&port=1",
            "postgresql://me@/db?host=/run&password=***&port=1",
        ),
        ("postgresql:///db?SSLPassword=hidden", "postgresql:///db?SSLPassword=***"),
    ],
)
def test_a_password_in_an_address_is_masked(url: str, shown: str) -> None:
    assert redacted(Settings(database_url=url))["database_url"] == shown


def test_secrets_are_masked_and_what_is_unset_stays_so() -> None:
    shown = redacted(
        load_settings({"KANCA_ADMIN_KEY": ADMIN_KEY, "KANCA_REDIS_URL": f"redis://:{ADMIN_KEY}@there"})
    )

    assert ADMIN_KEY not in str(shown)
    assert (shown["admin_key"], shown["secret_key"], shown["redis_url"]) == (
        "***",
        None,
        "redis://:***@there",
    )


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://user:hidden@there:6379/0", "redis://user:***@there:6379/0"),
        ("rediss://:hid:d@en@there", "rediss://:***@there"),
        ("unix:///run/valkey.sock?password=hidden", "unix:///run/valkey.sock?password=***"),
    ],
)
def test_redis_may_be_reached_in_these_ways_and_its_password_is_masked(url: str, shown: str) -> None:
    assert redacted(Settings(redis_url=url))["redis_url"] == shown


@pytest.mark.parametrize(
    ("name", "value"),
    [("KANCA_REDIS_URL", "http://:hidden@there"), ("KANCA_RATE_LIMIT_FALLBACK", "hidden")],
)
def test_a_setting_that_has_no_such_value_is_named_and_not_repeated(name: str, value: str) -> None:
    with pytest.raises(InvalidSetting, match=name) as caught:
        load_settings({name: value})
    assert "hidden" not in str(caught.value)


def test_a_secret_that_is_empty_is_no_secret() -> None:
    with pytest.raises(InvalidSetting, match=r"KANCA_WEBHOOK_SECRET: .*at least 1"):
        load_settings({"KANCA_WEBHOOK_SECRET": ""})


@pytest.mark.parametrize("key", ["", "x" * 15, "topsecret"])
def test_a_management_key_that_can_be_guessed_is_refused(key: str) -> None:
    with pytest.raises(InvalidSetting, match=r"KANCA_ADMIN_KEY: .*at least 16 characters") as refused:
        load_settings({"KANCA_ADMIN_KEY": key})
    assert not key or key not in str(refused.value)


ACME = {"signatures": [{"scheme": "hmac", "header": "X-Acme", "timestamp": {"header": "X-Acme-Time"}}]}


def test_providers_of_ones_own_are_tables_in_the_file_and_json_in_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "kanca.toml"
    file.write_text(
        '[providers.acme]\n[[providers.acme.signatures]]\nscheme = "hmac"\nheader = "X-Acme"\n'
        'timestamp = { header = "X-Acme-Time" }\n'
    )

    settings = load_settings({"KANCA_CONFIG": str(file)})

    assert settings.providers == {"acme": ACME}
    assert load_settings({"KANCA_PROVIDERS": json.dumps({"acme": ACME})}).providers == {"acme": ACME}
    assert load_settings(to_environment(settings)) == settings
    assert redacted(settings)["providers"] == {"acme": ACME}


@pytest.mark.parametrize("text", ["acme", "[]", '{"acme": 1}', "[" * 100_000])
def test_providers_that_are_no_tables_are_refused(text: str) -> None:
    with pytest.raises(InvalidSetting, match="KANCA_PROVIDERS"):
        load_settings({"KANCA_PROVIDERS": text})


@pytest.mark.parametrize("name", FROM_FILES)
def test_a_secret_may_stand_in_a_file_of_its_own(name: str, tmp_path: Path) -> None:
    value = {"redis_url": "redis://r", "outbox_urls": "sqlite:///o.db"}.get(name, "a secret of some length")
    (tmp_path / "secret").write_text(f"{value}\n")
    variable, file = f"KANCA_{name.upper()}", str(tmp_path / "secret")
    settings = load_settings({f"{variable}_FILE": file})
    assert getattr(load_settings(to_environment(settings)), name) == getattr(settings, name)
    assert setting_sources({f"{variable}_FILE": file})[name] == file
    again = load_settings({variable: value, f"{variable}_FILE": str(tmp_path / "gone")})
    assert getattr(again, name) == getattr(settings, name), "the variable itself wins"


def test_a_secret_whose_file_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff")
    for name, words in (("gone", "No such file"), ("binary", "is not UTF-8")):
        with pytest.raises(InvalidSetting, match=f"KANCA_ADMIN_KEY_FILE.*{words}"):
            load_settings({"KANCA_ADMIN_KEY_FILE": str(tmp_path / name)})


def test_what_holds_a_secret_may_stand_in_a_file() -> None:
    secrets = {name for name, field in Settings.model_fields.items() if "SecretStr" in str(field.annotation)}
    addresses = {name for name in Settings.model_fields if name.endswith(("_url", "_urls"))}
    assert set(FROM_FILES) == (secrets | addresses) - {"public_url"}
