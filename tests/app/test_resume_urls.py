from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from kanca.app.resume_urls import approval_urls, resume_urls
from kanca.domain.ids import RUN, IdFactory, show_id
from kanca.domain.resume_token import KEY_LABEL, Decision, read_token
from kanca.domain.wait import WaitAddress
from kanca.errors import InvalidInput, InvalidSetting
from kanca.settings import Settings
from kanca.storage.secret_box import load_secret_box

RUN_ID = IdFactory().new()
UNTIL = datetime.now(UTC) + timedelta(days=1)


def settings(**values: Any) -> Settings:
    return Settings(secret_key=SecretStr("a key of the tests that is long"), **values)


def test_an_address_names_its_wait_behind_the_public_url() -> None:
    ours = settings(public_url="https://hooks.example.com/")
    make = resume_urls(ours, load_secret_box(ours))
    assert make is not None

    url = make(WaitAddress(RUN_ID, "paid", 2), UNTIL, "approve")

    base, _, token = url.rpartition("/")
    assert base == "https://hooks.example.com/webhooks/resume"
    read = read_token(load_secret_box(ours).derived(KEY_LABEL), token, datetime.now(UTC))
    assert (read.address, read.decision) == (WaitAddress(RUN_ID, "paid", 2), Decision.APPROVE)


def test_without_a_public_url_an_address_is_for_this_machine() -> None:
    ours = settings(host="127.0.0.1", port=8123)
    make = resume_urls(ours, load_secret_box(ours))
    assert make is not None
    assert make(WaitAddress(RUN_ID, "paid"), UNTIL, None).startswith("http://127.0.0.1:8123/webhooks/resume/")


def test_where_nobody_knows_the_server_there_are_no_addresses() -> None:
    ours = settings(host="0.0.0.0")
    assert resume_urls(ours, load_secret_box(ours)) is None
    with pytest.raises(InvalidSetting, match="KANCA_PUBLIC_URL"):
        approval_urls(ours, {})


def test_a_handler_makes_the_addresses_of_an_approval() -> None:
    told = {
        "run_id": show_id(RUN, RUN_ID),
        "node_id": "ok",
        "iteration": 0,
        "generation": 1,
        "expires_at": UNTIL.isoformat(),
    }
    ours = settings()

    urls = approval_urls(ours, told)

    keys = load_secret_box(ours).derived(KEY_LABEL)
    read = {name: read_token(keys, url.rpartition("/")[2], datetime.now(UTC)) for name, url in urls.items()}
    assert {name: each.decision for name, each in read.items()} == {"approve": "approve", "reject": "reject"}
    assert read["reject"].address == WaitAddress(RUN_ID, "ok", 0, 1)
    assert read["reject"].expires_at == UNTIL


@pytest.mark.parametrize("told", [None, {}, {"run_id": "run_1"}, {"run_id": 7, "expires_at": 1}])
def test_another_event_has_no_such_addresses(told: Any) -> None:
    with pytest.raises(InvalidInput, match=r"approval\.requested"):
        approval_urls(settings(), told)
