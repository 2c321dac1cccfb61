from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from kanca.domain.endpoint import Secret
from kanca.storage import endpoints, instances
from kanca.storage.claimed_work import announce_handlers
from kanca.storage.dialects import open_database
from kanca.storage.instances import Description, InstanceState
from kanca.storage.ports import Database
from kanca.storage.secret_box import SecretBox
from tests.cli.conftest import Kanca
from tests.factories import new_endpoint
from tests.servers.valkey import ValkeyServer

KEY = "k" * 32


def _levels(called: Result) -> dict[str, str]:
    return {finding["subject"]: finding["level"] for finding in json.loads(called.stdout)["findings"]}


@pytest.fixture
async def _a_worker(database_url: str) -> None:
    database: Database = await open_database(database_url)
    await database.write(announce_handlers, "shop:hooks", {"ship": "{}"})
    number = await database.queue.register("here", 1, "shop:hooks", 10, timedelta(minutes=5))
    said = Description("1.2.3", "0008", InstanceState.RUNNING, 15, 0)
    await database.write(instances.describe_worker, number, said)
    address = "http://here:8000"
    await database.write(instances.enter_gateway, "here", 2, address, timedelta(minutes=5), said)
    await database.close()


@pytest.mark.usefixtures("_a_worker")
def test_where_all_is_well_every_line_is_ok(kanca: Kanca, database_url: str) -> None:
    called = kanca("doctor", "--json", KANCA_DATABASE_URL=database_url, KANCA_SECRET_KEY=KEY)

    levels = _levels(called)
    # A server for tests need not survive a power cut.
    levels.pop("database settings", None)
    assert set(levels.values()) == {"ok"}, called.stdout
    assert levels.keys() >= {
        "settings",
        "access",
        "secret key",
        "database",
        "schema",
        "clock",
        "workers",
        "gateways",
        "versions",
        "instances' clocks",
        "handlers",
        "backlog",
        "transactions",
        "stored secrets",
    }
    assert called.exit_code == 0


def test_people_get_lines_with_what_to_do(kanca: Kanca, sqlite_url: str) -> None:
    called = kanca("doctor", KANCA_DATABASE_URL=sqlite_url, KANCA_SECRET_KEY=KEY)

    assert called.exit_code == 0
    lines = called.stdout.splitlines()
    at = next(index for index, line in enumerate(lines) if line.split()[:2] == ["warning", "workers"])
    assert lines[at + 1].strip() == "→ Start one with `kanca serve`."


def test_nothing_is_made_by_looking(kanca: Kanca, tmp_path: Path) -> None:
    called = kanca("doctor", "--json")

    assert _levels(called)["database"] == "warning"
    assert called.exit_code == 0
    assert list(tmp_path.iterdir()) == []


def test_a_database_without_the_schema_is_an_error(kanca: Kanca, empty_database_url: str) -> None:
    Path("kanca.db").touch()
    if empty_database_url.startswith("sqlite"):
        empty_database_url = "sqlite:///kanca.db"

    called = kanca("doctor", "--json", KANCA_DATABASE_URL=empty_database_url, KANCA_SECRET_KEY=KEY)

    assert _levels(called)["schema"] == "error"
    assert "kanca migrate" in called.stdout
    assert called.exit_code == 1


def test_a_server_that_is_away_is_an_error(kanca: Kanca) -> None:
    called = kanca(
        "doctor", "--json", KANCA_DATABASE_URL="postgresql://me@127.0.0.1:1/db", KANCA_SECRET_KEY=KEY
    )

    assert _levels(called)["database"] == "error"
    assert called.exit_code == 1


def test_redis_is_looked_at_where_it_is_set(kanca: Kanca, sqlite_url: str, valkey: ValkeyServer) -> None:
    found = [
        _levels(kanca("doctor", "--json", KANCA_DATABASE_URL=sqlite_url, KANCA_SECRET_KEY=KEY, **more)).get(
            "redis"
        )
        for more in (
            {},
            {"KANCA_REDIS_URL": valkey.url},
            {"KANCA_REDIS_URL": "redis://:hidden@127.0.0.1:1"},
            {"KANCA_REDIS_URL": "redis://:hidden@127.0.0.1:many"},
        )
    ]

    assert found == [None, "ok", "warning", "error"]


def test_addresses_of_people_are_looked_at_where_they_are_set(kanca: Kanca, sqlite_url: str) -> None:
    called = [
        kanca("doctor", "--json", KANCA_DATABASE_URL=sqlite_url, KANCA_SECRET_KEY=KEY, **more)
        for more in (
            {},
            {"KANCA_ALERT_URLS": "json://127.0.0.1,json://hidden:hidden@127.0.0.1"},
            {"KANCA_ALERT_URLS": "json://127.0.0.1,hidden://hidden"},
        )
    ]

    assert [_levels(each).get("alerts") for each in called] == [None, "ok", "error"]
    assert "hidden" not in "".join(each.stdout + each.stderr for each in called)


@pytest.mark.parametrize(
    ("environ", "subject"),
    [
        ({"KANCA_PORT": "many"}, "settings"),
        ({"KANCA_ADMIN_KEY": "short"}, "settings"),
        ({"KANCA_HOST": "0.0.0.0"}, "access"),
        ({"KANCA_SECRET_KEY": "short"}, "secret key"),
        ({"KANCA_DATABASE_URL": "postgresql://me@127.0.0.1:1/db"}, "secret key"),
        ({"KANCA_DATABASE_URL": "mysql://there/db"}, "database"),
    ],
)
def test_settings_that_cannot_be_are_errors(kanca: Kanca, environ: dict[str, Any], subject: str) -> None:
    called = kanca("doctor", "--json", **environ)

    assert _levels(called)[subject] == "error"
    assert called.exit_code == 1


@pytest.fixture
async def _a_secret(database_url: str) -> None:
    database = await open_database(database_url)
    await database.write(endpoints.create, SecretBox([KEY]), new_endpoint(secrets=(Secret("s"),)))
    await database.close()


@pytest.mark.usefixtures("_a_secret")
@pytest.mark.parametrize(
    ("keys", "level", "exit_code"),
    [(KEY, "ok", 0), ("n" * 32 + "," + KEY, "warning", 0), ("n" * 32, "error", 1)],
)
def test_it_tells_whether_the_key_opens_the_secrets(
    kanca: Kanca, database_url: str, keys: str, level: str, exit_code: int
) -> None:
    called = kanca("doctor", "--json", KANCA_DATABASE_URL=database_url, KANCA_SECRET_KEY=keys)

    assert _levels(called)["stored secrets"] == level
    assert called.exit_code == exit_code


def test_a_key_file_that_got_lost_is_an_error_and_is_not_made_anew(
    kanca: Kanca, sqlite_url: str, tmp_path: Path
) -> None:
    assert _levels(kanca("doctor", "--json", KANCA_DATABASE_URL=sqlite_url))["stored secrets"] == "ok"

    async def seal() -> None:
        database = await open_database(sqlite_url)
        await database.write(endpoints.create, SecretBox([KEY]), new_endpoint(secrets=(Secret("s"),)))
        await database.close()

    asyncio.run(seal())

    called = kanca("doctor", "--json", KANCA_DATABASE_URL=sqlite_url)
    assert _levels(called)["stored secrets"] == "error"
    assert not (tmp_path / "kanca.key").exists()


def test_a_key_that_others_may_read_is_a_warning(kanca: Kanca, tmp_path: Path) -> None:
    key = tmp_path / "kanca.key"
    key.write_text(KEY)
    key.chmod(0o644)

    called = kanca("doctor", "--json")

    assert _levels(called)["secret key"] == "warning"
    assert "chmod 600 kanca.key" in called.stdout


def test_a_provider_of_ones_own_that_is_not_valid_is_found(kanca: Kanca) -> None:
    called = kanca("doctor", "--json", KANCA_PROVIDERS='{"acme": {"colour": "red"}}')

    [finding] = json.loads(called.stdout)["findings"]
    assert (called.exit_code, finding["subject"]) == (1, "settings")
    assert "[providers.acme]" in finding["message"]
