from __future__ import annotations

import copy
from typing import Any

import pytest

from kanca.errors import InvalidProvider
from kanca.providers import parse_spec
from tests.providers.arriving import own_spec

MINIMAL: dict[str, Any] = {
    "name": "own",
    "title": "Own",
    "summary": "Ours.",
    "label": "confirmed",
    "source": "our wiki",
    "signatures": [{"scheme": "hmac", "header": "X-Signature"}],
}


def refused(**changes: Any) -> str:
    with pytest.raises(InvalidProvider) as caught:
        parse_spec({**copy.deepcopy(MINIMAL), **changes})
    return caught.value.detail


def test_a_few_lines_are_a_whole_provider() -> None:
    spec = parse_spec(MINIMAL)
    assert spec.name == "own"
    assert spec.default_event_type == "webhook.received"
    assert not spec.delivery_id_signed


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"nmae": "x"}, "unknown field `nmae`"),
        ({"name": "../../etc/passwd"}, "at `$.name`"),
        ({"name": "own\n"}, "at `$.name`"),
        ({"label": "sure"}, "at `$.label`"),
        ({"signatures": []}, "at `$.signatures`"),
        ({"secret": {"prefx": "x"}}, "unknown field `prefx` - at `$.secret`"),
        ({"secret": {"min_length": 9, "max_length": 8}}, "min_length is above max_length - at `$.secret`"),
        ({"sender": {"timeout": 3}}, "unknown field `timeout` - at `$.sender`"),
        ({"event_type": ["{body:type"]}, "a brace that belongs to no slot"),
        ({"event_type": ["{body:a..b}"]}, "is no path"),
        ({"delivery_id": ["{id}"]}, "{id} is the delivery id that the signature covers"),
        ({"headers": {"X Bad": "x"}}, "at `key` in `$.headers`"),
        ({"samples": [{"event_type": "x"}]}, "missing required field `body` - at `$.samples[0]`"),
        ({"options": "anything"}, "at `$.options`"),
    ],
)
def test_what_is_wrong_in_a_spec_is_said_with_its_place(changes: dict[str, Any], complaint: str) -> None:
    assert complaint in refused(**changes)


@pytest.mark.parametrize(
    ("signature", "complaint"),
    [
        ({"scheme": "hmacc"}, "Invalid value 'hmacc' - at `$.signatures[0].scheme`"),
        ({"scheme": "hmac"}, "the proof is in one place"),
        (
            {"scheme": "hmac", "header": "x", "algorithm": "md5"},
            "Invalid enum value 'md5' - at `$.signatures[0].algorithm`",
        ),
        ({"scheme": "hmac", "header": "x", "algo": "sha1"}, "unknown field `algo` - at `$.signatures[0]`"),
        ({"scheme": "hmac", "header": "bad header"}, "at `$.signatures[0].header`"),
        ({"scheme": "hmac", "header": "x", "encoding": "rot13"}, "at `$.signatures[0].encoding`"),
        ({"scheme": "hmac", "header": "x", "form": "sha256="}, "is not literal ASCII text with one slot"),
        ({"scheme": "hmac", "header": "x", "separator": "--"}, "at `$.signatures[0].separator`"),
        ({"scheme": "hmac", "header": "x", "signed_content": "{headers}"}, "unknown slot {headers}"),
        ({"scheme": "hmac", "header": "x", "signed_content": "constant"}, "any body would pass"),
        (
            {"scheme": "hmac", "header": "x", "signed_content": "{id}{body}"},
            "id_header names the header behind {id}",
        ),
        ({"scheme": "hmac", "header": "x", "id_header": "i"}, "id_header names the header behind {id}"),
        (
            {"scheme": "hmac", "header": "x", "signed_content": "{timestamp}{body}"},
            "no timestamp is described",
        ),
        (
            {"scheme": "hmac", "header": "x", "form": "t={timestamp},v={signature}", "separator": ","},
            "no timestamp is described",
        ),
        ({"scheme": "hmac", "header": "x", "timestamp": {"header": "t"}}, "a timestamp must be signed"),
        ({"scheme": "hmac", "header": "x", "timestamp": {}}, "a timestamp has one place"),
        ({"scheme": "hmac", "header": "x", "timestamp": {"header": "t", "body": "t"}}, "not in both"),
        (
            {"scheme": "hmac", "header": "x", "timestamp": {"header": "t", "max_age_seconds": 0}},
            "max_age_seconds",
        ),
        ({"scheme": "token", "header": "x", "form": "Bearer"}, "is not literal ASCII text with {token}"),
        ({"scheme": "token", "header": "x", "signed_content": "{body}"}, "unknown field `signed_content`"),
        ({"scheme": "none", "header": "x"}, "unknown field `header`"),
    ],
)
def test_a_signature_that_would_prove_nothing_is_refused(signature: dict[str, Any], complaint: str) -> None:
    assert complaint in refused(signatures=[signature])


@pytest.mark.parametrize(
    "weaker",
    [
        {"scheme": "hmac", "header": "X-Signature-Old", "algorithm": "sha1"},
        {"scheme": "hmac", "header": "X-Signature-Old", "encoding": "base64"},
        {"scheme": "token", "header": "X-Token"},
        {"scheme": "none"},
    ],
)
def test_a_sender_cannot_choose_a_weaker_signature(weaker: dict[str, Any]) -> None:
    strong = {"scheme": "hmac", "header": "X-Signature"}
    assert "a sender could choose the weaker one" in refused(signatures=[strong, weaker])


TIMED = {
    "header": "s",
    "signed_content": "{id}.{timestamp}.{body}",
    "id_header": "i",
    "timestamp": {"header": "t"},
}


@pytest.mark.parametrize(
    ("signature", "delivery_id", "is_signed"),
    [
        ({"header": "s"}, ["{body:id}"], True),
        ({"header": "s"}, ["{header:delivery}"], False),
        ({"header": "s"}, ["{body:id}", "{header:delivery}"], False),
        ({"header": "s"}, ["{body:type}:{header:delivery}"], False),
        ({"header": "s", "signed_content": "{header:Delivery}{body}"}, ["{header:delivery}"], True),
        (TIMED, ["{id}"], True),
        ({"header": "s"}, [], False),
    ],
)
def test_a_delivery_id_is_signed_when_all_of_it_is_covered(
    signature: dict[str, Any], delivery_id: list[str], is_signed: bool
) -> None:
    assert own_spec(signature, delivery_id=delivery_id).delivery_id_signed is is_signed


def test_a_token_covers_nothing() -> None:
    spec = parse_spec(
        {**MINIMAL, "signatures": [{"scheme": "token", "header": "x"}], "delivery_id": ["{body:id}"]}
    )
    assert not spec.delivery_id_signed


@pytest.mark.parametrize(
    "answer",
    [
        {"headers": {"Set-Cookie": "a=b"}},
        {"headers": {"Content-Security-Policy": "default-src *"}},
        {"headers": {"Access-Control-Allow-Origin": "*"}},
        {"headers": {"Content-Length": "9"}},
        {"headers": {"X-Own": "a\r\nSet-Cookie: b=c"}},
        {"content_type": "text/plain\r\nSet-Cookie: b=c"},
        {"headers": {"content-type": "text/html"}},
        {"status": 204, "body": "x"},
    ],
)
def test_a_spec_sets_no_header_that_an_endpoint_could_not_set(answer: dict[str, Any]) -> None:
    assert "at `$.answer`" in refused(answer=answer)
