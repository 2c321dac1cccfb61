"""For tests of one's own handlers and workflows, without a server and without a database.

    from kanca.testing import FakeHttp, call, run_workflow, send

What runs is what a worker runs; only storage, waiting and other people's servers are not there. The guide is
``docs/guides/testing.md``.
"""

from kanca.testing.calls import CallResult, call, send
from kanca.testing.coming import Decision, NotResumed, Timeout
from kanca.testing.deliveries import SignedDelivery, signed_delivery
from kanca.testing.events import make_event
from kanca.testing.http import FakeHttp, SentRequest, UnexpectedRequest
from kanca.testing.memory import FailedAttempt, RunAnswer, RunResult, StepResult
from kanca.testing.published import Published, collect_published
from kanca.testing.runs import run_workflow

__all__ = [
    "CallResult",
    "Decision",
    "FailedAttempt",
    "FakeHttp",
    "NotResumed",
    "Published",
    "RunAnswer",
    "RunResult",
    "SentRequest",
    "SignedDelivery",
    "StepResult",
    "Timeout",
    "UnexpectedRequest",
    "call",
    "collect_published",
    "make_event",
    "run_workflow",
    "send",
    "signed_delivery",
]
