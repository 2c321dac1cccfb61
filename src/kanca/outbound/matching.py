"""Which subscriptions want an event, as far as its type, tenant and source say. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from kanca.domain.patterns import matches
from kanca.domain.subscription import Subscription


class Subscribers:
    """Subscriptions, found by what they want: those of one tenant that name a type are not looked at one by one."""

    def __init__(self, subscriptions: Iterable[Subscription]) -> None:
        self._exact: dict[tuple[str, str], list[Subscription]] = defaultdict(list)
        self._patterns: dict[str, list[tuple[str, Subscription]]] = defaultdict(list)
        self.by_number: dict[int, Subscription] = {}
        for subscription in subscriptions:
            self.by_number[subscription.number] = subscription
            for wanted in dict.fromkeys(subscription.events):
                if "*" in wanted:
                    self._patterns[subscription.tenant].append((wanted, subscription))
                else:
                    self._exact[subscription.tenant, wanted].append(subscription)

    def wanting(self, event_type: str, tenant: str, source: str | None) -> list[Subscription]:
        """Those that want such an event, in the order of their numbers; their filters are still to be asked.

        ``source``: None for published events, else the endpoint's ``wh_…`` id, or ``operational``. Subscriptions that
        are not active are among them.
        """
        found = {
            each.number: each for each in self._exact.get((tenant, event_type), ()) if _takes(each, source)
        }
        for wanted, each in self._patterns.get(tenant, ()):
            if each.number not in found and _takes(each, source) and matches(wanted, event_type):
                found[each.number] = each
        return [found[number] for number in sorted(found)]


def _takes(subscription: Subscription, source: str | None) -> bool:
    """Whether it takes events from there. One that names sources takes published events too."""
    return source is None or source in subscription.sources
