"""Deliveries: one event for one subscription.

While a delivery is open it is a task of the queue, and nothing else. Its record is written once, when it ends; a resend
opens it again, and the record is replaced when it has ended anew.
"""

from __future__ import annotations

from uuid import UUID

from kanca.domain.ids import derived_id
from kanca.domain.status import DeliveryStatus, ReplayOnly

SUBSCRIPTION_INACTIVE = "subscription_inactive"
SUBSCRIPTION_UNVERIFIED = "subscription_unverified"
SUBSCRIPTION_DISABLED = "subscription_disabled"
SUBSCRIPTION_DELETED = "subscription_deleted"
HOP_LIMIT = "hop_limit"


Key = tuple[UUID, int]
"""What a delivery is found by: its event, and its subscription's number."""

ADDED_WORK = "deliveries"
"""The outcome of an event that says how many deliveries replays have added to its work."""


def delivery_id(event_id: UUID, subscription: int) -> UUID:
    """The id of a delivery: the event's time in front, so that it is found by it."""
    return derived_id(event_id, f"delivery:{subscription}")


def work_of(subscription_id: str) -> str:
    """The name of the piece of work: ``subscription:<id>``."""
    return f"subscription:{subscription_id}"


def is_sent_again(only: ReplayOnly, ended: DeliveryStatus | None) -> bool:
    """Whether a replay sends a delivery that is not open. ``ended``: how it has ended; None: there has been none."""
    match only:
        case ReplayOnly.FAILED:
            return ended is DeliveryStatus.DEAD
        case ReplayOnly.MISSING:
            return ended in {None, DeliveryStatus.SKIPPED}
        case ReplayOnly.ALL:
            return True
