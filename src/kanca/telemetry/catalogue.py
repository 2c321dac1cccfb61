"""All metrics that there are, as documentation, dashboards and alerts know them."""

from __future__ import annotations

from dataclasses import dataclass

from prometheus_client.metrics_core import Metric

from kanca.telemetry import metrics, shared
from kanca.telemetry.exposition import build_info

_SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}


@dataclass(frozen=True, slots=True)
class Described:
    """A metric."""

    name: str
    """As it is asked for; of a histogram without the suffixes."""
    kind: str
    """``counter``, ``gauge`` or ``histogram``."""
    labels: tuple[str, ...]
    help: str
    is_shared: bool
    """Every machine says the same of it."""

    @property
    def series(self) -> tuple[str, ...]:
        """The names of its series."""
        if self.kind == "histogram":
            return tuple(self.name + suffix for suffix in _SUFFIXES["histogram"])
        return (self.name,)


def described() -> list[Described]:
    """All metrics: those that processes count, then those that all machines share."""
    counted = [
        _described(family, metric._labelnames)  # noqa: SLF001 - the library does not say them otherwise
        for metric in metrics.ALL
        for family in metric.describe()
    ]
    info = build_info()
    labels = tuple(info.samples[0].labels)
    common = [Described(each.name, "gauge", each.labels, each.help, True) for each in shared.ALL]
    return [*counted, _described(info, labels), *common]


def _described(family: Metric, labels: tuple[str, ...]) -> Described:
    suffix = _SUFFIXES[family.type][0] if family.type == "counter" else ""
    return Described(family.name + suffix, family.type, tuple(labels), family.documentation, False)
