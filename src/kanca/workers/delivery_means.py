"""What a worker delivers with: what it is given at its start, and what it hands to each of its shifts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from kanca.domain.subscription import Subscription
from kanca.outbound.receivers import Receiver, Receivers
from kanca.storage.ports import Database
from kanca.storage.secret_box import SecretBox
from kanca.workers.delivering import Deliverer, DeliveryRules, Sends
from kanca.workers.health import HealthKeeper, Tell
from kanca.workers.shift import Written
from kanca.workers.subscriptions import SubscriptionBook

CLAIM_AT_MOST = 250
CONNECTIONS_PER_PLACE = 4
"""Attempts that hang need a connection each, and hardly anything else."""


@dataclass(frozen=True, slots=True)
class SendingMeans:
    """What a worker sends webhooks with."""

    box: SecretBox
    """For the secrets that deliveries are signed with."""
    sender: Sends
    rules: DeliveryRules
    places: int
    """Deliveries that may be under way at once."""
    connections: int
    """With those that hang."""
    disable_after: timedelta
    """A subscription of which every attempt failed for so long is disabled."""
    tell: Tell
    """Tells people of trouble."""


@dataclass(frozen=True, slots=True)
class DeliveryMeans:
    """What every shift of a worker uses."""

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
