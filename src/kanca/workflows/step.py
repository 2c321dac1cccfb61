"""What a node is given when it runs, and how it may end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from kanca.domain.credential import Credentials
from kanca.egress import EgressClient


@dataclass(frozen=True, slots=True)
class Left:
    """The node is left by this port, with this output."""

    port: str
    output: Any


class StepFailed(Exception):
    """The attempt failed, for a reason that the node knows and people may read."""

    def __init__(
        self, code: str, message: str, *, is_final: bool = False, retry_after: timedelta | None = None
    ) -> None:
        """``is_final``: another attempt would fail the same way. ``retry_after`` replaces the policy's delay."""
        self.code = code
        self.message = message
        self.is_final = is_final
        self.retry_after = retry_after
        super().__init__(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepContext:
    """One attempt of one node in one run."""

    input: Any
    """The output of the node before; of several nodes, an object with each one's output under its id."""
    event: Mapping[str, Any]
    """What started the run: ``id``, ``type``, ``data``… (``docs/guides/workflows.md``). ``data`` is the input of a run
    that was started by hand."""
    run: Mapping[str, Any]
    """``id``, ``workflow_id``, ``version``, ``started_at`` of the run."""
    outputs: Mapping[str, Any]
    """The outputs of the nodes that ran before, under their ids."""
    node_id: str
    call_id: str
    """The same in every attempt, also after a crash: what others deduplicate by."""
    attempt_number: int
    """1 is the first."""
    timeout: timedelta
    """What this attempt may take."""
    http: EgressClient
    """The guarded HTTP client: it reaches no private address unless allowed."""
    credentials: Credentials | None = field(default=None, repr=False)
    """What nodes prove themselves with, by name."""

    @property
    def run_id(self) -> str:
        """``run_…``."""
        return str(self.run["id"])

    @property
    def scope(self) -> Mapping[str, Any]:
        """What expressions see."""
        return {"event": self.event, "input": self.input, "steps": self.outputs, "run": self.run}

    def leave(self, port: str, output: Any = None) -> Left:
        """What a node with several ports returns: the port by which it is left, and its output."""
        return Left(port, output)
