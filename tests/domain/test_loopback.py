"""Addresses of one machine are told from all others."""

from __future__ import annotations

import pytest

from kanca.domain.loopback import is_loopback


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.0.0.2", "::1", "[::1]", "localhost", "LOCALHOST", "localhost."]
)
def test_these_mean_this_machine(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host",
    ["", "0.0.0.0", "::", "10.0.0.1", "127.0.0.1.example.com", "localhost.example.com", "127.1", "kanca"],
)
def test_these_may_mean_others(host: str) -> None:
    assert not is_loopback(host)
