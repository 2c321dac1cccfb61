"""Whether a subscription is sent to, and what it shows of itself."""

from __future__ import annotations

import pytest

from kanca.domain.subscription import SubscriptionStatus
from tests.outbound.samples import NOW, a_subscription


@pytest.mark.parametrize(
    ("is_active", "disabled_reason", "is_verified", "status"),
    [
        (True, None, True, SubscriptionStatus.ACTIVE),
        (True, None, False, SubscriptionStatus.UNVERIFIED),
        (True, "gone", True, SubscriptionStatus.DISABLED),
        (True, "gone", False, SubscriptionStatus.DISABLED),
        (False, "gone", True, SubscriptionStatus.INACTIVE),
        (False, None, False, SubscriptionStatus.INACTIVE),
    ],
)
def test_what_a_person_said_comes_before_what_kanca_did(
    is_active: bool, disabled_reason: str | None, is_verified: bool, status: SubscriptionStatus
) -> None:
    subscription = a_subscription(
        is_active=is_active,
        disabled_reason=disabled_reason,
        disabled_at=NOW if disabled_reason else None,
        is_verified=is_verified,
    )
    assert subscription.status is status


def test_its_secrets_are_in_no_text_that_it_is_shown_as() -> None:
    assert "whsec_" not in repr(a_subscription())
