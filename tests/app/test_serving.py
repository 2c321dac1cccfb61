"""What is made sure before anything serves."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from kanca import Kanca
from kanca.app.serving import migrate, prepare
from kanca.errors import InvalidSetting
from kanca.settings import Settings

KEY, OTHER = "the key of the tests", "another key of the tests"


def settings(url: str, key: str | None = KEY, **values: bool) -> Settings:
    return Settings(database_url=url, secret_key=SecretStr(key) if key else None, **values)


async def test_another_key_than_the_first_one_is_refused_at_start(empty_database_url: str) -> None:
    await prepare(settings(empty_database_url))
    await prepare(settings(empty_database_url))
    for is_migrated in (True, False):
        with pytest.raises(InvalidSetting, match="KANCA_SECRET_KEY does not have the key"):
            await prepare(settings(empty_database_url, OTHER, auto_migrate=is_migrated))
    await prepare(settings(empty_database_url, f"{OTHER},{KEY}"))


async def test_mounted_it_does_not_start_with_another_key(database_url: str) -> None:
    await prepare(settings(database_url))
    with pytest.raises(InvalidSetting, match="KANCA_SECRET_KEY does not have the key"):
        async with Kanca(settings(database_url, OTHER)).running():
            pass


async def test_a_key_file_that_was_lost_is_told_by_its_name(empty_sqlite_url: str, tmp_path: Path) -> None:
    await prepare(settings(empty_sqlite_url, None))
    (tmp_path / "kanca.key").unlink()
    with pytest.raises(InvalidSetting, match=r"kanca\.key does not have the key"):
        await prepare(settings(empty_sqlite_url, None))


async def test_what_is_not_migrated_yet_is_left_to_whoever_migrates(empty_database_url: str) -> None:
    await prepare(settings(empty_database_url, auto_migrate=False))
    await migrate(settings(empty_database_url))
    await prepare(settings(empty_database_url, OTHER))


async def test_without_migrating_a_database_that_is_away_is_waited_for_by_those_who_serve() -> None:
    await prepare(settings("postgresql://me@127.0.0.1:1/db", auto_migrate=False))
