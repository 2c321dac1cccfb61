"""Whatever comes in is read or refused, and soon: in a moment what ``make fuzz`` looks for at length."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cache, reduce

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzz import bodies, headers, specs
from fuzz.accept import check_request, deliveries, read_request
from fuzz.target import Target
from tests.ingest.senders import Doors, Sender, all_senders

TARGETS = {"headers": headers.TARGET, "bodies": bodies.TARGET, "specs": specs.TARGET}
LONGEST_S = 2
EXAMPLES = 150
WORDS = [b"content-encoding: gzip\n", b"GET", b"OPTIONS", b"?"]

Edit = Callable[[bytes], bytes]


def _edit(at: int, length: int, piece: bytes, times: int) -> Edit:
    """Put a piece, several times over, in the place of so many bytes."""

    def edit(text: bytes) -> bytes:
        begin = at % (len(text) + 1)
        return text[:begin] + piece * times + text[begin + length :]

    return edit


def mutated(seeds: Sequence[bytes], words: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    """A seed with a few places changed, or bytes of no kind."""
    pieces = st.binary(max_size=8) | st.sampled_from(
        [*words, b"", b"\n", b"\x00", b"\xff", b'"', b"[", b"{", b"9"]
    )
    times = st.sampled_from([1, 1, 1, 2, 300, 5000])
    edits = st.builds(_edit, st.integers(0, 10_000), st.sampled_from([0, 0, 1, 2, 8, 100]), pieces, times)
    changed = st.builds(
        lambda seed, changes: reduce(lambda text, edit: edit(text), changes, seed),
        st.sampled_from(seeds),
        st.lists(edits, max_size=4),
    )
    return changed | st.binary(max_size=200)


@pytest.mark.parametrize("name", TARGETS)
def test_any_input_is_read_or_refused(name: str) -> None:
    target: Target = TARGETS[name]

    @given(data=mutated(list(target.seeds()), target.words))
    @settings(max_examples=EXAMPLES)
    def check(data: bytes) -> None:
        began = time.thread_time()
        target.check(data)
        assert time.thread_time() - began < LONGEST_S

    check()


@cache
def _delivered() -> tuple[list[Sender], list[bytes]]:
    senders = all_senders()
    return senders, list(deliveries(Doors(senders)))


@given(data=st.data())
@settings(max_examples=EXAMPLES)
async def test_any_request_is_accepted_or_refused(data: st.DataObject) -> None:
    senders, delivered = _delivered()
    doors = Doors(senders)
    request = read_request(data.draw(mutated(delivered, WORDS)))
    began = time.thread_time()
    await check_request(doors, request)
    assert time.thread_time() - began < LONGEST_S


def _places(value: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Every place in a document, as the keys that lead there."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in inner:
        yield (*path, key)
        yield from _places(child, (*path, key))


WRITTEN = st.sampled_from(
    ["", "{body}", "{body:a.0.b?}", "{header:x}", "{query:q}", "{timestamp}", "{id}", "{signature}", "{", "}"]
) | st.text(max_size=8)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.lists(WRITTEN, max_size=3).map("".join),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WRITTEN, inner, max_size=3),
    max_leaves=4,
)


@given(data=st.data())
@settings(max_examples=2 * EXAMPLES)
def test_any_value_in_a_provider_spec_is_used_or_refused(data: st.DataObject) -> None:
    described = json.loads(data.draw(st.sampled_from(_described())))
    for place in data.draw(st.lists(st.sampled_from(list(_places(described))), min_size=1, max_size=3)):
        *way, last = place
        try:
            parent = reduce(lambda value, key: value[key], way, described)
            parent[last] = data.draw(VALUES)
        except (KeyError, IndexError, TypeError):
            continue  # another change took the place away
    specs.check_spec(described)


@cache
def _described() -> list[bytes]:
    return list(specs.seeds())
