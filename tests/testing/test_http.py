from datetime import timedelta
from typing import Any

import pytest

from kanca.egress import EgressResponse
from kanca.errors import EgressFailed, EgressRefused, EgressTimeout
from kanca.testing import FakeHttp, UnexpectedRequest


async def ask(http: FakeHttp, method: str, url: str, max_bytes: int = 1000, **options: Any) -> EgressResponse:
    return await http.request(
        method, url, timeout=timedelta(seconds=1), max_response_bytes=max_bytes, **options
    )


async def test_answers_are_given_one_after_the_other_and_the_last_one_again() -> None:
    http = (
        FakeHttp().answer("GET", "https://a.example/1", 503).answer("GET", "https://a.example/1", body="yes")
    )
    statuses = [(await ask(http, "get", "https://a.example/1")).status for _ in range(3)]
    assert statuses == [503, 200, 200]


async def test_what_was_sent_can_be_looked_at() -> None:
    http = FakeHttp().answer("POST", "https://a.example/*", json={"id": 7})
    response = await ask(
        http, "POST", "https://a.example/x?y=1", headers={"X-Key": "k"}, body=b'{"total": 5}'
    )
    assert (response.body, response.headers) == (b'{"id": 7}', {"content-type": "application/json"})
    [sent] = http.requests
    assert (sent.method, sent.url, sent.headers, sent.json) == (
        "POST",
        "https://a.example/x?y=1",
        {"x-key": "k"},
        {"total": 5},
    )


async def test_only_a_star_stands_for_anything() -> None:
    http = FakeHttp().answer("*", "https://a.example/?q=[1]*")
    assert (await ask(http, "DELETE", "https://a.example/?q=[1]&r=2")).status == 200
    with pytest.raises(UnexpectedRequest):
        await ask(http, "GET", "https://a.example/xq=1")


@pytest.mark.parametrize(("error", "kind"), [(None, EgressFailed), (EgressTimeout(), EgressTimeout)])
async def test_a_request_may_fail_in_its_turn(error: Any, kind: type[Exception]) -> None:
    http = FakeHttp().fail("GET", "https://a.example/", error).answer("GET", "https://a.example/")
    with pytest.raises(kind):
        await ask(http, "GET", "https://a.example/")
    assert (await ask(http, "GET", "https://a.example/")).status == 200


async def test_what_nobody_answers_says_how_to_answer_it() -> None:
    http = FakeHttp().answer("GET", "https://a.example/")
    with pytest.raises(UnexpectedRequest, match=r"answer\('PUT', 'https://b.example/', …\).*GET https://a"):
        await ask(http, "PUT", "https://b.example/")
    with pytest.raises(UnexpectedRequest):
        http.check()


async def test_what_the_real_client_refuses_or_cuts_is_refused_and_cut() -> None:
    http = FakeHttp().answer("GET", "https://a.example/", body=b"12345")
    with pytest.raises(EgressRefused):
        await ask(http, "GET", "https://a.example/", headers={"Host": "b.example"})
    response = await ask(http, "GET", "https://a.example/", max_bytes=3)
    assert (response.body, response.truncated) == (b"123", True)
