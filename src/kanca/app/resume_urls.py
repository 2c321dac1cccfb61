"""The addresses at which waits of runs are resumed, for whoever makes them."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from kanca.domain.ids import RUN, read_id
from kanca.domain.loopback import is_loopback
from kanca.domain.resume_token import KEY_LABEL, RESUME_PATH, Decision, ResumeToken, make_token
from kanca.domain.wait import WaitAddress
from kanca.errors import InvalidInput, InvalidSetting
from kanca.settings import Settings
from kanca.storage.secret_box import SecretBox, load_secret_box
from kanca.workflows.surroundings import ResumeUrl


def resume_urls(settings: Settings, box: SecretBox) -> ResumeUrl | None:
    """How an address is made; None where it is not known what senders know this server as."""
    base = _base(settings)
    if base is None:
        return None
    keys = box.derived(KEY_LABEL)

    def make(address: WaitAddress, until: datetime, decision: str | None) -> str:
        token = ResumeToken(address, until, Decision(decision) if decision else None)
        return base + RESUME_PATH + make_token(keys, token)

    return make


def approval_urls(settings: Settings, told: Any) -> dict[str, str]:
    """The addresses that answer what an ``Approval`` node told handlers. Raises InvalidSetting, InvalidInput."""
    make = resume_urls(settings, load_secret_box(settings))
    if make is None:
        raise InvalidSetting("KANCA_PUBLIC_URL is not set, so nobody could answer")
    try:
        run_id = read_id(RUN, told["run_id"])
        until = datetime.fromisoformat(told["expires_at"])
        address = WaitAddress(UUID(str(run_id)), told["node_id"], told["iteration"], told["generation"])
    except (KeyError, TypeError, ValueError, AttributeError):
        raise InvalidInput("The event is no approval.requested of an Approval node") from None
    return {decision.value: make(address, until, decision) for decision in Decision}


def _base(settings: Settings) -> str | None:
    if settings.public_url:
        return settings.public_url.rstrip("/")
    if not is_loopback(settings.host):
        return None
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"http://{host}:{settings.port}"
