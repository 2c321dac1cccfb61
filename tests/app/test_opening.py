"""How many connections a process may open, and how they are shared out."""

from __future__ import annotations

import pytest

from kanca.app.opening import BESIDE_POOLS, PAST_POOLER, connections_of_pool, connections_used, open_own
from kanca.errors import InvalidSetting
from kanca.settings import Settings, load_settings

URL = "postgresql://me@there/kanca"


@pytest.mark.parametrize(("budget", "pool"), [(9, 2), (14, 4), (15, 5), (100, 47)])
def test_what_both_pools_have_and_what_is_beside_them_is_the_budget_at_most(budget: int, pool: int) -> None:
    assert connections_of_pool(budget) == pool
    assert 2 * pool + BESIDE_POOLS <= budget


def test_too_small_a_budget_is_refused() -> None:
    with pytest.raises(InvalidSetting, match="KANCA_DATABASE_CONNECTIONS"):
        load_settings({"KANCA_DATABASE_CONNECTIONS": "8"})


def test_only_what_goes_to_the_server_itself_is_counted() -> None:
    assert connections_used(Settings(database_url=URL)) == 15
    assert connections_used(Settings(database_url=URL + "?statement_cache_size=0")) == PAST_POOLER
    assert connections_used(Settings()) is None


@pytest.mark.parametrize(
    "direct", ["sqlite:///kanca.db", f"{URL}?statement_cache_size=0", "postgresql://me@there"]
)
async def test_a_direct_way_that_is_none_is_refused_by_its_setting(direct: str) -> None:
    settings = Settings(database_url=URL, database_direct_url=direct)
    with pytest.raises(InvalidSetting, match="KANCA_DATABASE_DIRECT_URL"):
        await open_own(settings)
