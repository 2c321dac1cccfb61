"""What a worker sends webhooks with, as the settings say."""

from __future__ import annotations

import resource
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from kanca.egress import EgressClient
from kanca.outbound.sending import Authentication, Sender
from kanca.settings import Settings
from kanca.storage.secret_box import SecretBox
from kanca.workers.delivering import DeliveryRules
from kanca.workers.delivery_means import CONNECTIONS_PER_PLACE, SendingMeans
from kanca.workers.health import Tell

OTHER_FILES = 256
"""What a process has open besides connections to receivers."""


def sending_means(
    settings: Settings, box: SecretBox, http: EgressClient, authentication: Authentication, tell: Tell
) -> SendingMeans:
    """Put together what a worker sends with, within what the system lets a process have open."""
    connections = min(settings.delivery_concurrency * CONNECTIONS_PER_PLACE, _open_files() - OTHER_FILES)
    return SendingMeans(
        box=box,
        sender=Sender(
            http,
            authentication,
            lambda: datetime.now(UTC),
            timeout=timedelta(seconds=settings.delivery_timeout),
        ),
        rules=DeliveryRules(
            retries_any=settings.delivery_retry_on == "any",
            retry_after_max=timedelta(seconds=settings.delivery_retry_after_max),
            max_hops=settings.max_hops,
        ),
        places=min(settings.delivery_concurrency, connections),
        connections=connections,
        disable_after=timedelta(hours=settings.subscription_disable_after_hours),
        tell=tell,
    )


def _open_files() -> int:
    """How many files this process may have open, once it has asked for all that it may get."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft = hard
    return 1_000_000 if soft == resource.RLIM_INFINITY else max(soft, OTHER_FILES * 2)
