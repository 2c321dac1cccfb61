"""The supervisor's decisions; its processes are tested in ``tests/acceptance``."""

from __future__ import annotations

import socket
from datetime import timedelta

import pytest

from kanca.app.supervisor import LONGEST_DELAY, YOUNG, bind, restart_delay
from kanca.errors import InvalidSetting


def test_the_first_early_death_and_every_late_one_are_answered_at_once() -> None:
    assert restart_delay(timedelta(seconds=1), 1) == timedelta(0)
    assert restart_delay(YOUNG, 50) == timedelta(0)


def test_a_child_that_keeps_dying_young_waits_longer_each_time_up_to_a_limit() -> None:
    delays = [restart_delay(timedelta(seconds=1), deaths) for deaths in range(2, 40)]
    assert delays == sorted(delays)
    assert delays[0] == timedelta(seconds=0.5)
    assert delays[-1] == LONGEST_DELAY


async def test_an_address_that_is_taken_is_refused_by_name() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InvalidSetting, match=f"cannot listen on 127.0.0.1:{port}"):
            await bind("127.0.0.1", port, patience=timedelta(0))


async def test_a_listener_is_ready_to_be_handed_down() -> None:
    listener = await bind("127.0.0.1", 0)
    with listener:
        assert not listener.getblocking()
        assert listener.getsockname()[1] > 0
