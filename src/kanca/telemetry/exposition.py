"""Metrics as they are served: what the processes of this machine counted, and what is known besides."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

from kanca.telemetry.metrics import ALL

MULTIPROC_DIR = "PROMETHEUS_MULTIPROC_DIR"


class _Given(Collector):
    """Families that are there already."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = tuple(families)

    def collect(self) -> Iterable[Metric]:
        return self._families


def exposition(families: Iterable[Metric] = (), environ: Mapping[str, str] = os.environ) -> bytes:
    """All metrics in Prometheus's text format, with ``families`` among them."""
    registry = registry_of(environ.get(MULTIPROC_DIR))
    registry.register(_Given(families))
    return generate_latest(registry)


def registry_of(directory: str | Path | None) -> CollectorRegistry:
    """What gives the metrics of all processes that write to ``directory``; None: of this process alone."""
    registry = CollectorRegistry()
    registry.register(_Given([build_info()]))
    if directory is not None:
        MultiProcessCollector(registry, str(directory))  # type: ignore[no-untyped-call]  # the library has no types here
    else:
        for metric in ALL:
            registry.register(metric)
    return registry


def build_info() -> Metric:
    """Which Kanca it is that runs here."""
    family = GaugeMetricFamily(
        "webhook_build_info", "Always 1: the version is in the labels", labels=["version", "python"]
    )
    family.add_metric([version("kanca"), platform.python_version()], 1)
    return family


def forget_process(name: str, directory: str) -> None:
    """Take back what a process that has died said of the present. What it counted stays."""
    mark_process_dead(name, directory)  # type: ignore[no-untyped-call]  # the library has no types here
