"""Gauges of what a process has in memory: looked at every second, whatever happens meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from prometheus_client import Gauge

EVERY = timedelta(seconds=1)


class Sampled:
    """The duty that keeps a gauge up to date."""

    def __init__(self, gauge: Gauge, value: Callable[[], float]) -> None:
        self._gauge = gauge
        self._value = value

    async def run_once(self) -> timedelta:
        """Look, and say when to look again."""
        self._gauge.set(self._value())
        return EVERY
