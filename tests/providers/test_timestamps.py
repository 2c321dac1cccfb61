from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kanca.providers.timestamps import Timestamp
from kanca.providers.verdict import Refusal, RefusalCode
from tests.providers.arriving import arriving

SECONDS = Timestamp(header="t")
MILLISECONDS = Timestamp(header="t", unit="ms")
ISO = Timestamp(header="t", unit="iso")


def test_the_same_instant_is_read_in_every_unit() -> None:
    assert SECONDS.read(b"1573899072") == 1573899072
    assert MILLISECONDS.read(b"1573899072634") == 1573899072.634
    assert ISO.read(b"2019-11-16T10:11:12Z") == 1573899072
    assert ISO.read(b"2019-11-16T10:11:12.634234626Z") == pytest.approx(1573899072.634234)
    assert ISO.read(b"2019-11-16T03:11:12-07:00") == 1573899072


@pytest.mark.parametrize(
    "text",
    [
        b"", b" 1", b"1 ", b"+1", b"-1", b"1.0", b"1e9", b"0x10", b"1_000", "١٢٣".encode(), b"9" * 17, b"nan",
        b"2019-11-16T10:11:12Z",
    ],
)  # fmt: skip
def test_only_a_plain_integer_is_a_timestamp(text: bytes) -> None:
    assert SECONDS.read(text) is None


@pytest.mark.parametrize(
    "text",
    [
        b"2019-11-16T10:11:12", b"2019-11-16", b"20191116T101112Z", b"2019-13-16T10:11:12Z", b"2019-11-16 10:11:12Z",
        b"2019-11-16T10:11:12.1234567890Z", b"1573899072", b"2019-11-16T10:11:12+99:00",
    ],
)  # fmt: skip
def test_a_time_without_offset_or_sense_is_none(text: bytes) -> None:
    assert ISO.read(text) is None


@given(st.integers(0, 4_000_000_000))
def test_what_is_written_is_read_back(instant: int) -> None:
    for timestamp in (SECONDS, MILLISECONDS, ISO):
        assert timestamp.read(timestamp.write(instant).encode()) == instant


@given(st.binary())
def test_reading_garbage_never_raises(text: bytes) -> None:
    for timestamp in (SECONDS, MILLISECONDS, ISO):
        timestamp.read(text)


def test_the_tolerance_holds_both_ways_and_its_edge_is_inside() -> None:
    timestamp = Timestamp(header="t", max_age_seconds=300, max_ahead_seconds=60)
    assert timestamp.judge(1000, now=1300) is None
    assert timestamp.judge(1000, now=940) is None
    assert timestamp.judge(1000, now=1412) == Refusal(
        RefusalCode.TIMESTAMP_TOO_OLD, "timestamp is 412 s old, tolerance 300 s"
    )
    assert timestamp.judge(1000, now=939) == Refusal(
        RefusalCode.TIMESTAMP_IN_FUTURE, "timestamp is 61 s in the future, tolerance 60 s"
    )


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"not json", RefusalCode.TIMESTAMP_MISSING),
        (b"\xff", RefusalCode.TIMESTAMP_MISSING),
        (b"[" * 100_000, RefusalCode.TIMESTAMP_MISSING),
        (b"{}", RefusalCode.TIMESTAMP_MISSING),
        (b'{"sent": {"at": null}}', RefusalCode.TIMESTAMP_MISSING),
        (b'{"sent": {"at": "soon"}}', RefusalCode.TIMESTAMP_MALFORMED),
        (b'{"sent": {"at": 1.5}}', RefusalCode.TIMESTAMP_MALFORMED),
        (b'{"sent": {"at": true}}', RefusalCode.TIMESTAMP_MALFORMED),
        (b'{"sent": {"at": -1}}', RefusalCode.TIMESTAMP_MALFORMED),
        (b'{"sent": {"at": 1' + b"0" * 5000 + b"}}", RefusalCode.TIMESTAMP_MISSING),
    ],
)
def test_a_body_without_its_timestamp_is_refused(body: bytes, code: RefusalCode) -> None:
    refusal = Timestamp(body="sent.at").read_body(arriving({}, body))
    assert isinstance(refusal, Refusal)
    assert refusal.code is code


def test_a_timestamp_has_one_place() -> None:
    with pytest.raises(ValueError, match="not in both"):
        Timestamp(header="t", body="t")
