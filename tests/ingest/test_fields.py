"""Which part of a document makes two arrivals the same event."""

from __future__ import annotations

import copy
import json
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kanca.domain.dedupe import Key, dedupe_key
from kanca.ingest.dedupe import content_key, fields_key
from kanca.ingest.fields import fields_of
from tests.ingest.site import BEARER, endpoint, site

documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["a", "b", "0", "é"]), inner),
    max_leaves=12,
)
paths = st.lists(
    st.lists(st.sampled_from(["a", "b", "0", "1", "é"]), min_size=1, max_size=4).map(".".join), max_size=4
)


def canonical(document: object, *, include: Any = (), exclude: Any = ()) -> bytes | None:
    fields = fields_of(include, exclude)
    assert fields is not None
    return fields.canonical(document)


async def key_of(body: object, **config: Any) -> UUID | None:
    """The key of the event that the body becomes."""
    here = site(endpoint(dedupe="content", **config))
    reply = await here.post(body if isinstance(body, bytes) else json.dumps(body).encode(), BEARER)
    assert reply.status == 200
    return here.event.dedupe_key


def key(of: Key) -> UUID:
    return dedupe_key(100, of)


def test_without_paths_there_is_nothing_to_choose() -> None:
    assert fields_of((), ()) is None


def test_only_what_is_included_counts() -> None:
    include = ["data.id", "data.lines.0.sku"]
    one = {"data": {"id": 7, "at": 1, "lines": [{"sku": "a", "n": 1}]}}
    other = {"data": {"lines": [{"n": 2, "sku": "a"}, {"sku": "b"}], "id": 7}, "more": True}
    assert canonical(one, include=include) == canonical(other, include=list(reversed(include)))
    assert canonical(one, include=include) == b'[[["data","id"],7],[["data","lines","0","sku"],"a"]]'
    assert canonical({"data": {"id": 8}}, include=include) != canonical({"data": {"id": 7}}, include=include)


def test_null_is_a_value_and_absence_is_none() -> None:
    assert canonical({"a": None}, include=["a", "b"]) == b'[[["a"],null]]'
    assert canonical({"a": None}, include=["a"]) != canonical({"b": None}, include=["a"])
    assert canonical({"b": None}, include=["a"]) is None


def test_what_is_excluded_makes_no_difference() -> None:
    exclude = ["timestamp", "data.at", "data.lines.0"]
    one = {"timestamp": 1, "data": {"at": 2, "id": 7, "lines": [1, 2]}}
    other = {"data": {"lines": [9, 2], "id": 7}}
    assert canonical(one, exclude=exclude) == b'{"data":{"id":7,"lines":[2]}}'
    assert canonical(one, exclude=exclude) == canonical(other, exclude=exclude)


def test_a_path_and_one_below_it_exclude_the_same_in_any_order() -> None:
    for exclude in (["a", "a.b"], ["a.b", "a"]):
        assert canonical({"a": {"b": 1, "c": 2}, "d": 3}, exclude=exclude) == b'{"d":3}'


def test_numbers_count_as_they_are_read() -> None:
    texts = ["1", "1.0", "1e0", "1.50", "1.5", "123456789012345678901234567890"]
    forms = [canonical(json.loads(f'{{"a":{text}}}'), include=["a"]) for text in texts]
    assert forms[1] == forms[2] != forms[0]
    assert forms[3] == forms[4]
    assert forms[5] == b'[[["a"],123456789012345678901234567890]]'


@pytest.mark.parametrize("body", [b'"text"', b"7", b"null", b'{"other": 1}', b"[]"])
async def test_where_no_field_is_to_be_found_the_whole_body_counts(body: bytes) -> None:
    assert await key_of(body, dedupe_include=["a.b"]) == key(content_key(body))


async def test_where_nothing_is_left_the_whole_body_counts() -> None:
    assert await key_of(b'{"at": 1}', dedupe_exclude=["at"]) == key(content_key(b'{"at": 1}'))
    assert await key_of(b'"text"', dedupe_exclude=["at"]) == key(content_key(b'"text"'))


async def test_the_type_of_the_event_always_counts() -> None:
    created, paid = ({"event_type": name, "data": {"id": 7}} for name in ("created", "paid"))
    form = b'[[["data","id"],7]]'
    assert await key_of(created, dedupe_include=["data.id"]) == key(fields_key("created", form))
    assert await key_of(paid, dedupe_include=["data.id"]) == key(fields_key("paid", form))


def test_the_same_words_of_another_rule_are_another_key() -> None:
    assert content_key(b"{}") != fields_key("", b"{}")


@given(documents, paths, paths)
def test_every_document_has_a_form_and_is_left_as_it_was(
    document: object, include: list[str], exclude: list[str]
) -> None:
    before = copy.deepcopy(document)
    for fields in (fields_of(include, ()), fields_of((), exclude)):
        if fields is not None:
            form = fields.canonical(document)
            assert form == fields.canonical(json.loads(json.dumps(document)))
            assert form is None or json.loads(form)
    assert document == before


@given(documents, st.randoms())
def test_the_order_of_keys_makes_no_difference(document: object, random: Any) -> None:
    def shuffled(value: Any) -> Any:
        if isinstance(value, dict):
            keys = list(value)
            random.shuffle(keys)
            return {key: shuffled(value[key]) for key in keys}
        return [shuffled(item) for item in value] if isinstance(value, list) else value

    assert canonical(document, exclude=["a"]) == canonical(shuffled(document), exclude=["a"])


async def test_a_retry_that_only_tells_another_time_is_a_duplicate() -> None:
    here = site(endpoint(dedupe="content", dedupe_exclude=["sent_at"]))
    first = await here.post({"order": 7, "sent_at": 1}, BEARER)
    again = await here.post({"sent_at": 2, "order": 7}, BEARER)
    other = await here.post({"order": 8, "sent_at": 1}, BEARER)
    assert [reply.json()["status"] for reply in (first, again, other)] == [
        "accepted",
        "duplicate",
        "accepted",
    ]
    assert again.json()["event_id"] == first.json()["event_id"]
