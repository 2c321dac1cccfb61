"""What every shift of a worker that delivers uses."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from kanca.domain.subscription import Subscription
from kanca.outbound.receivers import Receiver, Receivers
from kanca.storage.ports import Database
from kanca.workers.delivering import Deliverer
from kanca.workers.health import HealthKeeper
from kanca.workers.shift import Written
from kanca.workers.subscriptions import SubscriptionBook

CLAIM_AT_MOST = 250
CONNECTIONS_PER_PLACE = 4
"""Attempts that hang need a connection each, and hardly anything else."""


@dataclass(frozen=True, slots=True)
class DeliveryMeans:
    """What a worker delivers with, from one lease to the next."""

    database: Database
    book: SubscriptionBook
    deliverer: Deliverer
    receivers: Receivers
    health: HealthKeeper
    places: int
    connections: int
    poll: timedelta
    shutdown: timedelta
    on_written: Written

    def receiver_of(self, subscription: Subscription) -> Receiver:
        """The receiver of a subscription, as it is configured now."""
        config = subscription.config
        return self.receivers.of(
            subscription.number, subscription.url, config.max_in_flight, config.rate_limit_per_second
        )
