"""What a manifest speaks of, and what changes that are made together are about."""

from __future__ import annotations

from enum import StrEnum


class Kind(StrEnum):
    """What is changed."""

    EVENT_TYPE = "event_type"
    CREDENTIAL = "credential"
    WORKFLOW = "workflow"
    ENDPOINT = "endpoint"
    SUBSCRIPTION = "subscription"
