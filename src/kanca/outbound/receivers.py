"""What a process knows of receivers, and whether they take another attempt now. Pure: the time is handed in.

A receiver earns how many attempts it has at once: one at first, twice as many with every success, one again when it
fails. So receivers that hang or fail, in whatever number, hold one connection each, and then none: their breaker opens.
Each subscription has a breaker of its own; connections that cannot be made count for all subscriptions of that host,
for there somebody else's success says as much.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from weakref import WeakValueDictionary

from yarl import URL

from kanca.outbound.breaker import Breaker

SUBSCRIPTION_FAILURES = 5
HOST_FAILURES = 10
ONE_BY_ONE = 1.0
SLOW_AFTER_S = 1.0
"""An attempt that takes longer needs no more of this process than a connection."""
IN_ADVANCE_S = 0.5
"""So much work of a receiver may wait in memory."""
LEAST_PUT_OFF_S = 0.25
LONGEST_PUT_OFF_S = 60.0
_WEIGHT = 0.2
_NEVER = float("inf")


class Ended(Enum):
    """How an attempt ended, as far as it says something about its receiver."""

    SUCCEEDED = "succeeded"
    REFUSED = "refused"
    """It answered, and does not want this delivery: it is well."""
    FAILED = "failed"
    """It did not answer, or that it cannot."""
    UNREACHABLE = "unreachable"
    """No connection could be made."""
    NOT_SENT = "not_sent"
    """There was no request, for want of a secret or a credential: nothing is known of its host."""
    CUT_SHORT = "cut_short"
    """Nothing is known."""


@dataclass(slots=True, eq=False)
class Receiver:
    """The receiver of one subscription."""

    number: int
    """The subscription's."""
    url: str
    host: Breaker
    """Shared by all subscriptions of the host."""
    most: int
    """Attempts at once, when it does well."""
    rate: float | None = None
    """Attempts a second; None is any number."""
    earned: float = ONE_BY_ONE
    """Attempts at once, for now."""
    is_proven: bool = False
    """The last attempt that ended went well."""
    fails_at_once: bool = False
    """The last attempt that ended has failed, and did not take long: trying costs next to nothing."""
    in_flight: int = 0
    mean_s: float = 0.1
    """What an attempt takes."""
    breaker: Breaker = field(default_factory=lambda: Breaker(SUBSCRIPTION_FAILURES))
    asked_until: float = 0.0
    """It asked not to be sent anything before (429, ``Retry-After``)."""
    tokens: float = 1.0
    """What the rate lets through, as of ``counted_at``."""
    counted_at: float = 0.0
    has_parked: bool = True
    """Deliveries of it may be parked in the queue."""
    fed_at: float = 0.0
    """When some of those were let go for the last time."""
    promised_at: float = 0.0
    """When the last one that was put off is tried again."""

    def configure(self, most: int, rate: float | None) -> None:
        """Take over what the subscription says now."""
        self.most, self.rate = most, rate

    def move(self, url: str, host: Breaker) -> None:
        """Begin anew at another URL: what was learnt is about the old one."""
        if self.in_flight:
            self.host.left()  # whoever tries there is not heard of again
        self.url, self.host = url, host
        self.breaker = Breaker(SUBSCRIPTION_FAILURES)
        self.earned, self.is_proven, self.asked_until = ONE_BY_ONE, False, 0.0

    @property
    def tries_retries_early(self) -> bool:
        """Whether deliveries that were tried before may try whether it is well again, before those that were not."""
        return self.fails_at_once and self.breaker.is_open

    def room(self, now: float, *, of_retry: bool = False) -> int:
        """How many attempts may begin now; ``of_retry``: of a delivery that was tried before."""
        if now < self.asked_until or not self.host.lets_through(now):
            return 0
        is_early = of_retry and self.tries_retries_early
        if not (self.breaker.lets_retry_through(now) if is_early else self.breaker.lets_through(now)):
            return 0
        if self.breaker.is_open or self.host.is_open:
            room = 1 if self.in_flight == 0 else 0
        else:
            room = max(0, min(int(self.earned), self.most) - self.in_flight)
        return room if self.rate is None else min(room, int(self._tokens(now)))

    def opens_at(self, now: float, *, to_retry: bool = False) -> float:
        """When to look again whether there is room, while nothing ends; ``to_retry`` as ``of_retry`` of ``room``."""
        is_early = to_retry and self.tries_retries_early
        own_opens_at = self.breaker.opens_to_retries_at(now) if is_early else self.breaker.opens_at
        held_until = max(
            self.asked_until,
            own_opens_at if self.breaker.is_open else 0.0,
            self.host.opens_at if self.host.is_open else 0.0,
        )
        if held_until > now:
            return held_until
        if self.rate is not None and self._tokens(now) < 1:
            return now + (1 - self._tokens(now)) / self.rate
        return now if self.room(now, of_retry=to_retry) else _NEVER

    def put_off(self, now: float, *, of_retry: bool = False) -> float:
        """When to try what there is no room for: one after the other, at the pace that the receiver has."""
        opens_at = self.opens_at(now, to_retry=of_retry)
        pace_s = max(self.mean_s / self.earned, 0.0 if self.rate is None else 1 / self.rate)
        earliest = max(now + LEAST_PUT_OFF_S, now if opens_at == _NEVER else opens_at)
        self.promised_at = min(max(self.promised_at + pace_s, earliest), now + LONGEST_PUT_OFF_S)
        return self.promised_at

    def may_wait(self) -> int:
        """How many deliveries may wait in memory for a place."""
        if not self.is_proven or self.breaker.is_open:
            return 0
        of_rate = _NEVER if self.rate is None else self.rate * IN_ADVANCE_S
        return int(min(self.most * IN_ADVANCE_S / max(self.mean_s, 0.001), of_rate, 1_000)) + 1

    def begun(self, now: float) -> None:
        """An attempt has begun."""
        self.in_flight += 1
        self.promised_at = now  # there is room again: who comes next need not wait for all who came before
        self.breaker.begun(now)
        self.host.begun(now)
        if self.rate is not None:
            self.tokens = self._tokens(now) - 1
            self.counted_at = now

    def ended(self, how: Ended, now: float, took_s: float, asked_s: float | None = None) -> None:
        """An attempt has ended. ``asked_s``: for so long the receiver wants nothing more."""
        self.in_flight -= 1
        if asked_s is not None:
            self.asked_until = max(self.asked_until, now + asked_s)
        self.fails_at_once = how is Ended.FAILED and took_s < SLOW_AFTER_S
        match how:
            case Ended.SUCCEEDED | Ended.REFUSED:
                self.breaker.succeeded()
                self.host.succeeded()
                self.is_proven = True
                self.earned = min(max(self.earned * 2, 2.0), float(self.most))
                self.mean_s += (took_s - self.mean_s) * _WEIGHT
            case Ended.FAILED | Ended.UNREACHABLE | Ended.NOT_SENT:
                self.breaker.failed(now)
                if how is Ended.UNREACHABLE:
                    self.host.failed(now)
                elif how is Ended.FAILED:
                    self.host.succeeded()
                else:
                    self.host.left()
                self.is_proven = False
                self.earned = ONE_BY_ONE
            case Ended.CUT_SHORT:
                self.breaker.left()
                self.host.left()

    def _tokens(self, now: float) -> float:
        if self.rate is None:
            return _NEVER
        return min(max(1.0, self.rate), self.tokens + (now - self.counted_at) * self.rate)


class Receivers:
    """All receivers that this process has to do with."""

    def __init__(self) -> None:
        self._by_number: dict[int, Receiver] = {}
        self._hosts: WeakValueDictionary[str, Breaker] = WeakValueDictionary()
        """Kept by their receivers."""

    def of(self, number: int, url: str, most: int, rate: float | None) -> Receiver:
        """The receiver of a subscription, as it is configured now."""
        receiver = self._by_number.get(number)
        if receiver is None:
            receiver = self._by_number[number] = Receiver(number, url, self._host(url), most, rate)
        else:
            receiver.configure(most, rate)
            if url != receiver.url:
                receiver.move(url, self._host(url))
        return receiver

    def known(self, number: int) -> Receiver | None:
        """The receiver of a subscription that something was sent to."""
        return self._by_number.get(number)

    def forget(self, number: int) -> None:
        """Begin anew with it: a person says that it is well."""
        self._by_number.pop(number, None)

    def waiting(self) -> list[Receiver]:
        """Those that may have deliveries parked in the queue; first those that were fed the longest time ago."""
        waiting = [each for each in self._by_number.values() if each.has_parked]
        return sorted(waiting, key=lambda each: each.fed_at)

    @property
    def shut_off(self) -> int:
        """How many nothing is sent to for a while, for a breaker is open."""
        return sum(each.breaker.is_open or each.host.is_open for each in self._by_number.values())

    def _host(self, url: str) -> Breaker:
        try:
            parsed = URL(url)
            name = f"{parsed.raw_host}:{parsed.port}"
        except ValueError:
            name = url  # the egress guard says what is wrong with it
        return self._hosts.setdefault(name, Breaker(HOST_FAILURES))


@dataclass(slots=True)
class Places:
    """How many attempts this process may have under way."""

    most: int
    """That need it: those that began a moment ago."""
    most_connections: int
    """With those that hang, which need only a connection."""
    busy: int = 0
    slow: int = 0
    """Those that take longer than ``SLOW_AFTER_S``."""

    def is_free_for(self, receiver: Receiver) -> bool:
        """Whether another attempt may begin. A part is kept for receivers that are known to be well.

        The last of the connections are for those that have none: of many that were well and hang all at once, each
        would take all that it has earned.
        """
        total = self.busy + self.slow
        if total >= self.most_connections * 3 // 4 and (not receiver.is_proven or receiver.in_flight):
            return False
        most = self.most if receiver.is_proven else self.most * 3 // 4
        return self.busy < most and total < self.most_connections
