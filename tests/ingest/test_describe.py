"""How refused requests are shown."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kanca.ingest.describe import MOST_SHOWN_BODY_BYTES, describe_rejected
from kanca.ingest.redaction import REDACTED, is_sensitive, redact

VALUE = "Hunter2-and-more"


def _described(body: bytes = b"", **headers: str) -> Any:
    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return json.loads(
        describe_rejected("POST", "/x", pairs, body, hidden={b"x-proof"}, hidden_fields={"mac"})
    )


@pytest.mark.parametrize(
    "text",
    [
        f'{{"password": "{VALUE}"}}',
        f'{{"user":{{"apiKey":"{VALUE}"}}}}',
        f'{{"access_token" : "{VALUE}',
        f'{{"secret": "a\\"{VALUE}"}}',
        f'{{"tokens": ["{VALUE}", "{VALUE}"]}}',
        f"user=ann&password={VALUE}&x=1",
        f"user%5Bpassword%5D={VALUE}",
        f"hash={VALUE}",
        f"<auth><Password>{VALUE}</Password></auth>",
        f'<wsse:Password Type="text">{VALUE}',
        f'--b\r\nContent-Disposition: form-data; name="api_key"\r\n\r\n{VALUE}\r\n--b--',
        f'--b\r\nContent-Disposition: form-data; name="token"\r\nContent-Type: text/plain\r\n\r\na\r\n{VALUE}',
        f"https://shop.test/in?signature={VALUE}",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0." + VALUE,
    ],
)
def test_what_is_named_like_a_secret_is_not_shown(text: str) -> None:
    shown = redact(text)
    assert VALUE not in shown
    assert REDACTED in shown


@pytest.mark.parametrize(
    "text",
    [
        '{"order_id": "o-1", "total": 9.90, "design": "x", "keyboard": "y"}',
        "order=1&total=9.90",
        "<order><id>1</id></order>",
        "no pairs = at all",
    ],
)
def test_all_else_is_shown_as_it_is(text: str) -> None:
    assert redact(text) == text


def test_headers_of_other_providers_are_not_shown_either() -> None:
    shown = dict(
        _described(
            x_gitlab_token=VALUE,
            x_proof=VALUE,
            x_api_key=VALUE,
            referer=f"https://a.test/?token={VALUE}",
            user_agent="curl/8",
        )["headers"]
    )
    assert VALUE not in str(shown)
    assert shown["x-gitlab-token"] == f"[{len(VALUE)} bytes]"
    assert shown["user-agent"] == "curl/8"


def test_fields_that_carry_a_provider_s_proof_are_not_shown() -> None:
    assert _described(b"mac=" + VALUE.encode() + b"&a=1")["body"] == f"mac={REDACTED}&a=1"


def test_bytes_that_are_no_text_can_be_read() -> None:
    assert _described(b"caf\xe9 \x00 \xff")["body"] == "caf\\xe9 \x00 \\xff"


def test_a_character_that_is_cut_is_left_out() -> None:
    assert _described("é".encode() * 2048)["body"] == "é" * 1024
    assert _described(b"x" + "é".encode() * 2048)["body"] == "x" + "é" * 1023


def test_names_are_judged_whatever_their_spelling() -> None:
    assert all(
        map(is_sensitive, ["API-Key", "apiKey", "x_signature", "verify_sign", "md5sig", "hash", "pass"])
    )
    assert not any(map(is_sensitive, ["order_id", "keyboard", "design", "compass", "monkey", "author"]))


@given(st.binary(max_size=5000))
def test_whatever_comes_is_shown_within_bounds(body: bytes) -> None:
    assert len(_described(body)["body"]) <= MOST_SHOWN_BODY_BYTES


@pytest.mark.parametrize(
    "piece",
    [
        '"',
        '"a":',
        '"a":"',
        '"a":[',
        'name="',
        'name="a"\r\n',
        "<a ",
        "<a>",
        "&a",
        "a=",
        "eyJaaaaa.",
        "\\",
        " ",
    ],
)
def test_nothing_takes_long_to_look_through(piece: str) -> None:
    text = (piece * 2048)[:2048]
    began = time.process_time()
    redact(text)
    assert time.process_time() - began < 0.1
