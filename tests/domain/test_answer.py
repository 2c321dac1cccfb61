"""An answer of an endpoint's own is checked whole when it is saved."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kanca.domain.answer import (
    MAX_ANSWER_BYTES,
    MAX_ANSWER_HEADERS,
    AnswerSpec,
    read_answer,
    show_answer,
)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


def test_an_answer_that_says_nothing_is_an_empty_200() -> None:
    assert read_answer({}) == AnswerSpec(200, (), None, None)
    assert read_answer({"status": 204, "headers": None, "body": "", "expression": None}).status == 204


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("OK", "an object"),
        ({"text": "OK"}, "unknown key `text`"),
        ({"status": 302}, "200 to 299"),
        ({"status": 199}, "200 to 299"),
        ({"status": True}, "200 to 299"),
        ({"status": "200"}, "200 to 299"),
        ({"body": 1}, "text as `body`"),
        ({"body": "\ud800"}, "half of a character"),
        ({"body": "é" * (MAX_ANSWER_BYTES // 2) + "x"}, "at most 64 KB"),
        ({"body": "OK", "expression": "'OK'"}, "not both"),
        ({"status": 204, "body": "OK"}, "has no body"),
        ({"status": 205, "expression": "''"}, "has no body"),
        ({"headers": [["a", "b"]]}, "object of texts"),
        ({"headers": {f"x-{n}": "1" for n in range(MAX_ANSWER_HEADERS + 1)}}, "at most 20"),
        ({"headers": {"X-A": "1", "x-a": "2"}}, "twice"),
        ({"headers": {"x a": "1"}}, "name is none"),
        ({"headers": {"": "1"}}, "name is none"),
        ({"headers": {"x-a": "1\r\nset-cookie: a=b"}}, "printable ASCII"),
        ({"headers": {"x-a\n": "1"}}, "name is none"),
        ({"headers": {"x-a": "1\n"}}, "printable ASCII"),
        ({"headers": {"x-a": " 1"}}, "printable ASCII"),
        ({"headers": {"x-a": "ş"}}, "printable ASCII"),
        ({"headers": {"x-a": 1}}, "printable ASCII"),
        ({"headers": {"x-a": "1" * 1025}}, "printable ASCII"),
        *(
            ({"headers": {name: "1"}}, "cannot set")
            for name in (
                *("Connection", "Keep-Alive", "TE", "Trailer", "Transfer-Encoding", "Upgrade"),
                *("Content-Length", "Content-Encoding", "Set-Cookie", "X-Content-Type-Options"),
                *("Content-Security-Policy", "Access-Control-Allow-Origin"),
            )
        ),
    ],
)
def test_what_cannot_be_answered_is_refused(value: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_answer(value)


@given(
    st.dictionaries(st.sampled_from(["status", "headers", "body", "expression", "other"]), json_values)
    | json_values
)
def test_an_answer_is_read_or_refused_and_reads_back_as_itself(value: object) -> None:
    try:
        answer = read_answer(value)
    except ValueError:
        return
    assert read_answer(show_answer(answer)) == answer
