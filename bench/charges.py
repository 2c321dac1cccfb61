"""Events to be stored without HTTP: charges, such as Stripe sends."""

from __future__ import annotations

import json
import os
from datetime import datetime
from uuid import UUID

from kanca.domain.event import NewEvent

BODY = json.dumps({"id": "evt_1", "type": "charge.succeeded", "data": {"text": "x" * 640}}).encode()
REQUEST = json.dumps({"method": "POST", "headers": [["content-type", "application/json"]] * 8}).encode()


def new_charge(identity: UUID, endpoint: int, received_at: datetime, dedupe_until: datetime) -> NewEvent:
    """As ingest would have made it; no two are duplicates."""
    return NewEvent(
        id=identity,
        endpoint=endpoint,
        tenant="default",
        type="charge.succeeded",
        received_at=received_at,
        source_event_id=identity.hex,
        correlation_id=identity.hex,
        request=REQUEST,
        body=BODY,
        dedupe_key=UUID(bytes=os.urandom(16)),
        dedupe_until=dedupe_until,
    )
