from __future__ import annotations

import json

import pytest

from kanca.providers import Refusal, RefusalCode, Verdict, Verified, compile_verifier, get_provider
from tests.providers.arriving import NOW, arriving
from tests.providers.handshakes.test_pings import answered, unproven

OLD, NEW = "the-older-client-state", "the-newer-client-state"


def judged(*states: object) -> Verdict:
    items = [
        {"changeType": "updated", **({} if state is None else {"clientState": state})} for state in states
    ]
    body = json.dumps({"value": items}).encode()
    return compile_verifier(get_provider("microsoft-graph")).verify(arriving({}, body), [NEW, OLD], NOW)


def test_the_validation_token_is_sent_back_as_plain_text() -> None:
    url = "https://kanca.example/in/graph?validationToken=Validation%3A+Testing+%3Cscript%3E"
    reply = unproven("microsoft-graph", arriving({"Content-Type": "text/plain"}, b"", url=url))
    assert answered(reply) == (
        200,
        (
            ("content-type", "text/plain; charset=utf-8"),
            ("x-content-type-options", "nosniff"),
            ("content-security-policy", "default-src 'none'; sandbox"),
        ),
        b"Validation: Testing <script>",
    )


def test_a_notification_is_no_validation() -> None:
    assert unproven("microsoft-graph", arriving({}, b'{"value":[]}')) is None
    empty = "https://kanca.example/in/graph?validationToken="
    assert unproven("microsoft-graph", arriving({}, b"", url=empty)) is None


@pytest.mark.parametrize("states", [(NEW,), (OLD,), (NEW, OLD, NEW)])
def test_every_item_may_have_any_live_secret(states: tuple[str, ...]) -> None:
    assert isinstance(judged(*states), Verified)


@pytest.mark.parametrize(
    ("states", "code"),
    [
        ((NEW, "another-client-state"), RefusalCode.TOKEN_MISMATCH),
        ((NEW, None), RefusalCode.TOKEN_MISSING),
        ((None, NEW), RefusalCode.TOKEN_MISSING),
        ((NEW, ""), RefusalCode.TOKEN_MISMATCH),
        ((NEW, [NEW]), RefusalCode.TOKEN_MISSING),
        ((), RefusalCode.TOKEN_MISSING),
    ],
)
def test_one_item_without_it_is_enough_to_refuse_all(states: tuple[object, ...], code: RefusalCode) -> None:
    verdict = judged(*states)
    assert isinstance(verdict, Refusal)
    assert verdict.code is code
