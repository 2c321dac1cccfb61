from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kanca.domain.trace import Trace, read_trace, trace_of_id

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{SPAN}-01"


def test_what_is_read_is_what_is_written() -> None:
    found = read_trace(PARENT, "congo=t61rcWkgMzE,rojo=00f067aa0ba902b7")

    assert found == Trace(TRACE, SPAN, is_sampled=True, state="congo=t61rcWkgMzE,rojo=00f067aa0ba902b7")
    assert found.headers == {"traceparent": PARENT, "tracestate": "congo=t61rcWkgMzE,rojo=00f067aa0ba902b7"}


def test_only_the_flag_that_is_known_is_handed_on() -> None:
    for flags, written in (("00", "00"), ("01", "01"), ("ff", "01"), ("02", "00")):
        found = read_trace(f"00-{TRACE}-{SPAN}-{flags}")
        assert found is not None
        assert found.traceparent.endswith(f"-{written}")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "00",
        PARENT.upper(),
        PARENT[:-1],
        f"{PARENT}-more",
        f"{PARENT} more",
        f"ff-{TRACE}-{SPAN}-01",
        f"0-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE[:-1]}g-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-0g",
        f"cc-{TRACE}-{SPAN}-01.what",
        f"{PARENT},{PARENT}",
        f"00_{TRACE}_{SPAN}_01",
    ],
)
def test_what_the_standard_does_not_allow_is_no_trace(text: str) -> None:
    assert read_trace(text, "a=1") is None


def test_a_later_version_is_read_as_far_as_it_is_known() -> None:
    for text in (
        f"cc-{TRACE}-{SPAN}-01",
        f"cc-{TRACE}-{SPAN}-01-what-the-future-will-be-like",
        f" {PARENT}\t",
    ):
        assert read_trace(text) == Trace(TRACE, SPAN)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("a=1", "a=1"),
        (" a=1 ,\tb=2,, ", "a=1,b=2"),
        ("tenant@system=x y", "tenant@system=x y"),
        ("0tenant@system=x", "0tenant@system=x"),
        ("a=1,a=2", ""),
        ("A=1", ""),
        ("a", ""),
        ("a=", ""),
        ("a=ü", ""),
        ("a=b=c", ""),
        ("a@b@c=1", ""),
        (f"{'k' * 257}=1", ""),
        (f"{'k' * 256}=1", f"{'k' * 256}=1"),
        (f"a={'v' * 257}", ""),
        (f"a={'v' * 256}", f"a={'v' * 256}"),
        (",".join(f"k{n}=1" for n in range(33)), ""),
        (",".join(f"k{n}=1" for n in range(32)), ",".join(f"k{n}=1" for n in range(32))),
        (f"a=1,b={'v' * 256},c={'v' * 256}", f"a=1,b={'v' * 256}"),
    ],
)
def test_the_state_of_others_is_handed_on_if_it_can_be_read(written: str, read: str) -> None:
    found = read_trace(PARENT, written)
    assert found is not None
    assert found.state == read


@given(st.text(max_size=120), st.text(max_size=600))
def test_nothing_that_is_sent_raises(parent: str, state: str) -> None:
    assert read_trace(parent, state) is None or read_trace(parent) is not None
    found = read_trace(PARENT, state)
    assert found is not None
    assert found.state.isascii()


def test_a_place_below_another_is_in_the_same_trace_and_always_the_same() -> None:
    trace = Trace(TRACE, SPAN, is_sampled=False, state="a=1")

    one, again, other = trace.child("call", "1"), trace.child("call", "1"), trace.child("call", "2")

    assert one == again
    assert len({trace.span_id, one.span_id, other.span_id}) == 3
    assert (one.trace_id, one.is_sampled, one.state) == (TRACE, False, "a=1")
    assert read_trace(one.traceparent, one.state) == one


def test_a_trace_of_one_s_own_is_found_by_the_id() -> None:
    identifier = UUID("0197a3c2-1111-7000-8000-0123456789ab")

    assert trace_of_id(identifier).trace_id == identifier.hex
    assert read_trace(trace_of_id(identifier).traceparent) == trace_of_id(identifier)
