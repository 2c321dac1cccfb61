"""The receivers of the kill test of deliveries: how each behaves, and what its deliveries deserve to end as."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from kanca.domain.status import DeliveryStatus
from tests.acceptance.receiver import Answer, Behaviour, Misbehaviour, Receiver, Request

MANY, FEW = "crash.many", "crash.few"
"""Types of events. Where every attempt fails there are few: five failures in a row open a breaker for seconds."""
AFTER_FAILURES = (0.3,)
"""The schedule where failing is for good: two attempts, with two events not enough for a breaker."""
PATIENT = (0.3,) * 30
"""The schedule where it is not: the receiver will be well."""
METADATA = "http://169.254.169.254/latest/meta-data/"
TRAP = "trap"
"""Where a redirect leads to at the receiver itself: nobody may ask there."""


@dataclass(frozen=True, slots=True)
class Way:
    """How a receiver behaves, and what follows."""

    behaviour: Behaviour
    status: DeliveryStatus = DeliveryStatus.DELIVERED
    reason: str | None = None
    attempts: int | None = None
    """Exactly so many are recorded; None: what was killed decides."""
    requests: int = 1
    """So many come at least."""
    schedule: tuple[float, ...] = PATIENT
    timeout_s: float = 20.0
    """Long where the receiver answers: a busy machine is not its fault."""
    event_type: str = FEW


def ways(receiver: Receiver) -> dict[str, Way]:
    """All of them, by name; those that deserve to end otherwise than delivered give up soon."""
    return {
        "well": Way(lambda _: Answer(), event_type=MANY),
        "slow": Way(lambda _: Answer(after_s=0.05), event_type=MANY),
        "stumbles": Way(_stumbles, event_type=MANY),
        "flaps": Way(_flaps, event_type=MANY),
        "gone": Way(lambda _: Answer(410), DeliveryStatus.DEAD, "gone", 1, event_type=MANY),
        "recovers": Way(lambda request: Answer(500 if request.number <= 2 else 200), requests=3),
        "busy": Way(_is_busy_once, requests=2),
        "endless": Way(lambda _: Misbehaviour.ENDLESS),
        "unwell": _dead(lambda _: Answer(500), "receiver_error"),
        "hangs": replace(_dead(lambda _: Misbehaviour.HANG, "timeout"), timeout_s=1.0, requests=1),
        "resets": _dead(_resets, "connection_closed"),
        "metadata": _dead(lambda _: Answer(302, {"Location": METADATA}), "redirected"),
        "redirects": _dead(lambda _: Answer(307, {"Location": f"{receiver.url}/{TRAP}"}), "redirected"),
        "refuses": Way(lambda _: Answer(422), DeliveryStatus.DEAD, "rejected", 1),
    }


def _dead(behaviour: Behaviour, reason: str) -> Way:
    attempts = len(AFTER_FAILURES) + 1
    return Way(behaviour, DeliveryStatus.DEAD, reason, attempts, attempts, AFTER_FAILURES)


def _stumbles(request: Request) -> Answer:
    """Every tenth delivery fails once."""
    fails = int(request.webhook_id[-4:], 16) % 10 == 0 and request.number == 1
    return Answer(500 if fails else 200)


def _flaps(_: Request) -> Answer:
    """Half a second of four."""
    return Answer(503 if time.monotonic() % 4 < 0.5 else 200)


def _is_busy_once(request: Request) -> Answer:
    return Answer(429, {"Retry-After": "1"}) if request.number == 1 else Answer()


def _resets(request: Request) -> Misbehaviour:
    return Misbehaviour.CUT if request.number == 2 else Misbehaviour.RESET
