from __future__ import annotations

import json
from pathlib import Path

from kanca.settings import Settings
from tests.cli.conftest import Kanca


def test_every_setting_is_shown_with_its_source_and_no_secret(kanca: Kanca) -> None:
    Path("kanca.toml").write_text('database_url = "postgresql://me:hidden@there/db"\nport = 9000\n')

    called = kanca("config", "show", "--json", KANCA_ADMIN_KEY="hidden-hidden-hidden", KANCA_PORT="9001")

    assert "hidden" not in called.output
    shown = {row["setting"]: (row["value"], row["source"]) for row in json.loads(called.stdout)["settings"]}
    assert len(shown) == len(Settings.model_fields)
    assert shown["KANCA_DATABASE_URL"] == ("postgresql://me:***@there/db", "kanca.toml")
    assert shown["KANCA_PORT"] == (9001, "environment")
    assert shown["KANCA_ADMIN_KEY"] == ("***", "environment")
    assert shown["KANCA_HOST"] == ("127.0.0.1", "default")


def test_people_get_a_table(kanca: Kanca) -> None:
    lines = kanca("config", "show").stdout.splitlines()

    assert lines[0].split() == ["setting", "value", "source"]
    assert ["KANCA_PORT", "8000", "default"] in [line.split() for line in lines]


def test_of_providers_of_ones_own_people_see_the_names(kanca: Kanca) -> None:
    Path("kanca.toml").write_text('[providers.acme]\nsignatures = [{ scheme = "hmac", header = "X-Acme" }]\n')

    assert '["acme"]' in kanca("config", "show").stdout
    shown = {
        row["setting"]: row["value"]
        for row in json.loads(kanca("config", "show", "--json").stdout)["settings"]
    }
    assert shown["KANCA_PROVIDERS"] == {"acme": {"signatures": [{"scheme": "hmac", "header": "X-Acme"}]}}
