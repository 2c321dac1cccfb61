"""The dashboard and the alerts ask for metrics that there are, with labels and values that these have."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from kanca.domain.status import DeliveryStatus, RunStatus
from kanca.domain.subscription import SubscriptionStatus
from kanca.domain.task import TaskKind, TaskState
from kanca.ingest.refusal import CAUSES, RULES
from kanca.telemetry.catalogue import Described, described

OPS = Path(__file__).parents[2] / "ops"
METRICS = {series: metric for metric in described() for series in metric.series}
PROMETHEUS_LABELS = {"instance", "job", "le"}

_SELECTED = re.compile(r"\b(webhook_\w+|up)\b(?:\{([^}]*)\})?")
_MATCHER = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"')
_GROUPED = re.compile(r"\b(?:by|without) \(([^)]*)\)")
_SHOWN = re.compile(r"\{\{\s*(?:\$labels\.)?(\w+)\s*\}\}")


def alerts() -> list[dict[str, Any]]:
    document = yaml.safe_load((OPS / "prometheus" / "alerts.yaml").read_text())
    (group,) = document["groups"]
    rules: list[dict[str, Any]] = group["rules"]
    return rules


def panels() -> list[dict[str, Any]]:
    document = json.loads((OPS / "grafana" / "kanca.json").read_text())
    found: list[dict[str, Any]] = document["panels"]
    return [panel for panel in found if panel["type"] != "row"]


def queries() -> Iterator[tuple[str, str, str]]:
    """Each query with where it stands and what is shown of it."""
    for rule in alerts():
        yield rule["alert"], rule["expr"], " ".join(rule["annotations"].values())
    for panel in panels():
        for target in panel["targets"]:
            yield f"{panel['title']} {target['refId']}", target["expr"], target["legendFormat"]


def values_of(metric: Described, label: str) -> set[str] | None:
    """What a label can be; None: anything."""
    kinds, states = {kind.name.lower() for kind in TaskKind}, {state.name.lower() for state in TaskState}
    known: Mapping[tuple[str, str], set[str]] = {
        ("webhook_received_total", "status"): {"accepted", "duplicate", "handshake", *RULES, *CAUSES},
        ("webhook_tasks", "state"): states,
        ("webhook_attempts_total", "result"): {"succeeded", "retried", "dead"},
        ("webhook_deliveries_total", "status"): set(DeliveryStatus),
        ("webhook_delivery_duration_seconds", "result"): {"delivered", "failed"},
        ("webhook_runs_ended_total", "status"): set(RunStatus),
        ("webhook_subscriptions", "status"): set(SubscriptionStatus),
        ("webhook_outbox_total", "result"): {"moved", "duplicate", "conflict", "refused"},
        ("webhook_alerts_total", "result"): {"sent", "failed"},
        ("webhook_tasks_rescued_total", "result"): {"returned", "lost"},
    }
    return kinds if label == "kind" else known.get((metric.name, label))


@pytest.mark.parametrize(("where", "expression", "shown"), list(queries()))
def test_a_query_asks_for_what_there_is(where: str, expression: str, shown: str) -> None:
    assert expression.count("(") == expression.count(")"), where
    selected = _SELECTED.findall(expression)
    assert selected, f"{where} asks for nothing"
    labels = set(PROMETHEUS_LABELS)
    for name, matchers in selected:
        if name == "up":
            continue
        assert name in METRICS, f"{where}: there is no {name}"
        metric = METRICS[name]
        labels |= set(metric.labels)
        for label, how, value in _MATCHER.findall(matchers):
            assert label in {*metric.labels, "instance"}, f"{where}: {name} has no label {label}"
            known = values_of(metric, label)
            for each in value.split("|") if "~" in how else [value]:
                fits = known is None or any(re.fullmatch(each, one) for one in known)
                assert fits, f"{where}: {label} of {name} is never {each}"
    for group in _GROUPED.findall(expression):
        assert set(group.split(", ")) <= labels, f"{where}: {group}"
    assert set(_SHOWN.findall(shown)) <= labels, f"{where}: {shown}"


@pytest.mark.parametrize(("where", "expression", "shown"), list(queries()))
def test_what_all_machines_share_is_never_added_up(where: str, expression: str, shown: str) -> None:
    shared = [
        name for name, _ in _SELECTED.findall(expression) if name in METRICS and METRICS[name].is_shared
    ]

    assert not (shared and re.search(r"\b(sum|rate|increase|avg)\b", expression)), where


def test_every_metric_is_in_the_dashboard() -> None:
    asked = {
        METRICS[name].name
        for panel in panels()
        for target in panel["targets"]
        for name, _ in _SELECTED.findall(target["expr"])
    }

    assert {metric.name for metric in METRICS.values()} == asked


def test_every_alert_says_what_it_means_and_where_more_is_said() -> None:
    names = [rule["alert"] for rule in alerts()]

    assert len(set(names)) == len(names)
    for rule in alerts():
        assert rule["annotations"].keys() == {"summary", "description", "runbook"}
        assert rule["annotations"]["runbook"] == f"docs/operations.md#{rule['alert'].lower()}"
        assert rule["labels"]["severity"] in {"page", "ticket"}
        assert re.fullmatch(r"\d+[smh]", rule.get("for", "0m"))


def test_panels_do_not_overlap_and_each_has_a_number_of_its_own() -> None:
    document = json.loads((OPS / "grafana" / "kanca.json").read_text())
    places: set[tuple[int, int]] = set()
    for panel in document["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & places, panel["title"]
        assert max(x for x, _ in cells) < 24
        places |= cells
    assert len({panel["id"] for panel in document["panels"]}) == len(document["panels"])


def test_the_sample_of_a_configuration_names_the_alerts_beside_it() -> None:
    sample = yaml.safe_load((OPS / "prometheus" / "prometheus.yaml").read_text())

    assert sample["rule_files"] == ["alerts.yaml"]
    assert all(job["job_name"].startswith("kanca") for job in sample["scrape_configs"])
