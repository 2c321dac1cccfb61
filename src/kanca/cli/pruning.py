"""What ``kanca apply --prune-from`` deletes: what an earlier manifest asked for, and the present one does not.

Pure. Nothing else is deleted, whatever there is on the server.
"""

from __future__ import annotations

from collections.abc import Iterator

from kanca.cli.actions import Action, Present, Verb
from kanca.cli.manifest import Manifest
from kanca.domain.changing import Kind


def prune(before: Manifest, wanted: Manifest, present: Present) -> list[Action]:
    """The deletions, each before what it refers to: subscriptions, endpoints, workflows, credentials, event types."""
    return [
        *_subscriptions(before, wanted, present),
        *_endpoints(before, wanted, present),
        *(
            Action(Kind.WORKFLOW, each.id, Verb.DELETE, updated_at=present.workflows[each.id].updated_at)
            for each in before.workflows
            if each.id in present.workflows and each.id not in {kept.id for kept in wanted.workflows}
        ),
        *(
            Action(Kind.CREDENTIAL, each.name, Verb.DELETE)
            for each in before.credentials
            if each.name in present.credentials
            and each.name not in {kept.name for kept in wanted.credentials}
        ),
        *(
            Action(Kind.EVENT_TYPE, each.name, Verb.DELETE)
            for each in before.event_types
            if each.name in present.event_types
            and each.name not in {kept.name for kept in wanted.event_types}
        ),
    ]


def _subscriptions(before: Manifest, wanted: Manifest, present: Present) -> Iterator[Action]:
    kept = {each.id for each in wanted.subscriptions}
    for each in before.subscriptions:
        found = present.subscriptions.get(each.id)
        if found is not None and each.id not in kept:
            yield Action(Kind.SUBSCRIPTION, each.id, Verb.DELETE, updated_at=found["updated_at"])


def _endpoints(before: Manifest, wanted: Manifest, present: Present) -> Iterator[Action]:
    kept = {found["webhook_id"] for each in wanted.endpoints if (found := present.endpoint(each)) is not None}
    for each in before.endpoints:
        found = present.endpoint(each)
        if found is not None and found["webhook_id"] not in kept:
            yield Action(Kind.ENDPOINT, each.id, Verb.DELETE, updated_at=found["updated_at"])
