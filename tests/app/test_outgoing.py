"""What the settings say about outgoing requests holds for whatever a process sends."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from kanca import __version__
from kanca.app.outgoing import Outgoing, egress_client
from kanca.errors import EgressRefused, InvalidSetting
from kanca.settings import Settings
from tests.egress.proxies import http_proxy
from tests.egress.receiver import receiving


async def test_the_settings_say_where_requests_may_go_and_which_way() -> None:
    async with receiving() as receiver, receiving() as other, http_proxy() as proxy:
        settings = Settings(
            egress_allow=("127.0.0.1",),
            egress_ports=(str(receiver.port),),
            egress_proxy=SecretStr(proxy.url("me:secret@")),
        )
        async with egress_client(settings) as client:
            limits: dict[str, Any] = {"timeout": timedelta(seconds=10), "max_response_bytes": 10}
            assert (await client.request("GET", receiver.url(), **limits)).status == 200
            with pytest.raises(EgressRefused) as caught:
                await client.request("GET", other.url(), **limits)
    assert caught.value.facts["reason"] == "bad_port"
    assert proxy.asked == [f"127.0.0.1:{receiver.port}"]
    assert receiver.requests[0].headers["User-Agent"] == f"Kanca/{__version__}"


async def test_a_gateway_opens_its_client_at_the_first_request() -> None:
    async with receiving() as receiver:
        outgoing = Outgoing(Settings(egress_allow=("127.0.0.1",)))
        for _ in range(2):
            assert await outgoing.get(receiver.url()) == (200, b"")
        await outgoing.close()
    assert len(receiver.peers) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"egress_allow": ("10.0.0.1/8",)},
        {"egress_ports": ("https",)},
        {"egress_proxy": SecretStr("https://proxy:1")},
    ],
)
def test_settings_that_cannot_be_are_an_error(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidSetting, match=next(iter(wrong))):
        egress_client(Settings(**wrong))
