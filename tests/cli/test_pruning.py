from __future__ import annotations

from kanca.cli.actions import Present, PresentWorkflow
from kanca.cli.manifest import (
    CredentialWanted,
    EndpointWanted,
    EventTypeWanted,
    Manifest,
    SubscriptionWanted,
    WorkflowWanted,
)
from kanca.cli.pruning import prune

BEFORE = Manifest(
    event_types=(EventTypeWanted("order.created", {}),),
    credentials=(CredentialWanted("crm", "bearer", {}),),
    workflows=(WorkflowWanted("flow", {}),),
    endpoints=(EndpointWanted(slug="s"),),
    subscriptions=(SubscriptionWanted("partner", {}),),
)
PRESENT = Present(
    event_types={"order.created": {}},
    credentials={"crm": {}},
    workflows={"flow": PresentWorkflow("default", 1, 1, {}, {}, "2026-03-01T12:00:00Z")},
    endpoints={
        "wh_1": {"webhook_id": "wh_1", "slug": "s", "updated_at": "2026-03-01T12:00:00Z"},
        "wh_2": {"webhook_id": "wh_2", "slug": "other", "updated_at": "2026-03-01T12:00:00Z"},
    },
    subscriptions={"partner": {"updated_at": "2026-03-01T12:00:00Z"}, "other": {}},
)


def test_what_is_no_longer_asked_for_goes_before_what_it_refers_to() -> None:
    assert [(action.verb, action.kind, action.id) for action in prune(BEFORE, Manifest(), PRESENT)] == [
        ("delete", "subscription", "partner"),
        ("delete", "endpoint", "s"),
        ("delete", "workflow", "flow"),
        ("delete", "credential", "crm"),
        ("delete", "event_type", "order.created"),
    ]


def test_what_is_still_asked_for_stays() -> None:
    assert prune(BEFORE, BEFORE, PRESENT) == []


def test_an_endpoint_stays_by_whichever_of_its_names_it_is_asked_for() -> None:
    by_id = Manifest(endpoints=(EndpointWanted(webhook_id="wh_1"),))
    assert "endpoint" not in [action.kind for action in prune(BEFORE, by_id, PRESENT)]


def test_what_is_gone_already_and_what_no_manifest_made_is_left_alone() -> None:
    assert prune(BEFORE, Manifest(), Present()) == []
    assert prune(Manifest(), Manifest(), PRESENT) == []
