"""The reference of the metrics, from the code."""

from __future__ import annotations

from collections.abc import Iterable

from kanca.telemetry.catalogue import Described, described

_BEFORE = """# Metrics

`GET /metrics` of a gateway gives all of them, and the port `KANCA_METRICS_PORT` those of the machine's own processes
([the guide](../guides/observability.md)). A counter has a series of the name below; a histogram `…_bucket`, `…_sum`
and `…_count`.

Senders choose event types, so `event_type` has at most 200 values in a process, of events whose sender has proven who
it is; all others are `other`. No label is an endpoint, a subscription, a tenant or a workflow: people make those, and
there may be any number of them.
"""


def metrics_page() -> str:
    """All metrics as tables in Markdown."""
    found = described()
    return "\n".join(
        [
            _BEFORE,
            "## Counted by the processes of a machine",
            "",
            "Add them up over machines: `sum`.",
            "",
            *_table(each for each in found if not each.is_shared),
            "",
            "## Shared by all machines",
            "",
            "What the database says. Every machine that is asked says the same, at most five seconds old (a minute for",
            "sizes): take `max`, never `sum`.",
            "",
            *_table(each for each in found if each.is_shared),
            "",
        ]
    )


def _table(metrics: Iterable[Described]) -> list[str]:
    rows = [
        f"| `{each.name}` | {each.kind} | {', '.join(f'`{label}`' for label in each.labels)} | {each.help} |"
        for each in metrics
    ]
    return ["| metric | type | labels | what it is |", "|---|---|---|---|", *rows]
