"""What the task of a delivery says besides its event and subscription: JSON."""

from __future__ import annotations

import msgspec

from kanca.domain.task import Task


class DeliverDetail(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the task of a delivery says besides its event and subscription."""

    attempts: int = 0
    """Attempts of this delivery that ended before this task: it was resent."""
    is_unsure: bool = False
    """The subscription's filter is still to be asked: it failed when the event was fanned out."""
    replay: str | None = None
    """The id of the replay that asked for it."""

    def encode(self) -> bytes | None:
        """As a task carries it."""
        return None if self == DeliverDetail() else msgspec.json.encode(self)


def detail_of(task: Task) -> DeliverDetail:
    """What the task of a delivery says."""
    return read_detail(task.detail)


def read_detail(detail: bytes | None) -> DeliverDetail:
    """What the task of a delivery says, as its row has it."""
    return DeliverDetail() if detail is None else msgspec.json.decode(detail, type=DeliverDetail)
