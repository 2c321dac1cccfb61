"""What follows when an attempt of a node has ended: its step, another attempt, a wait, or the failure of the run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

from kanca.domain.retry import GiveUp, after_failure
from kanca.domain.status import StepStatus, WaitStatus
from kanca.workflows.calling import Failed, Succeeded, Suspended
from kanca.workflows.node_type import ERROR
from kanca.workflows.progress import At, Progress
from kanca.workflows.publishing import published
from kanca.workflows.recording import Times, shown
from kanca.workflows.runs import NodeFailures, RunFailure
from kanca.workflows.step import AwaitEvent, Left, Publication, Sleep, Suspension
from kanca.workflows.stretch import EARLY, Ended, Stretch
from kanca.workflows.values import read_json, write_json

MAX_ASKED_DELAY = timedelta(days=30)
"""The longest that a node may ask for before its next attempt."""


class Settler:
    """Takes over how attempts ended. It asks nobody outside: what is new is stored later."""

    def __init__(self, stretch: Stretch) -> None:
        self._stretch = stretch
        self._around = stretch.around
        self._state = stretch.state
        self._workflow = stretch.workflow
        self._recorder = stretch.recorder
        self._held = stretch.held
        self._regions = stretch.regions
        self._at_work = stretch.at_work

    def settle(self, ended: Ended) -> None:
        """Take over how an attempt ended."""
        region = self._regions.of(ended.at)
        if region is None or region.has_ended(ended.at.node_id):
            return  # it was decided without it
        match ended.result:
            case Failed() as failed:
                self._settle_failure(region, ended, failed)
            case Suspended(for_what=for_what):
                self._suspend(ended, for_what)
            case result:
                self.leave(region, ended, result)

    def leave(self, region: Progress, ended: Ended, result: Succeeded) -> None:
        """A node has succeeded."""
        at, left = ended.at, result.left
        self._held.drop(at)
        region.end(at.node_id, result.port, result.output)
        self._regions.touch(region)
        self._recorder.step(
            at,
            StepStatus.SUCCEEDED,
            ended.times,
            port=result.port,
            input=shown(ended.input),
            output=shown(result.output) if result.stored is None else result.stored,
            attempt_number=ended.attempt_number,
        )
        node = self._workflow.nodes[at.node_id]
        self._stretch.must_store |= node.type.is_stored_at_once
        if left is not None and (left.publishes or left.answer):
            self._say(left)
        if node.joins_first:
            self.drop(region, region.unfinished(self._workflow.losers(at.node_id)))
        if node.type.ends_run:
            self._stretch.stopped = (result.output,)

    def skip(self, region: Progress, at: At, status: StepStatus) -> None:
        """A node ends without an output."""
        if region.has_ended(at.node_id):
            return
        region.skip(at.node_id)
        self._regions.touch(region)
        now = self._around.now()
        self._recorder.step(at, status, Times(self._held.begun_at.pop(at, now), now))

    def drop(self, region: Progress, node_ids: Iterable[str]) -> None:
        """Let these nodes end without having run, or before they have: nobody needs them any more."""
        for node_id in node_ids:
            at = At(node_id, region.iteration)
            wait = self._held.waits.get(at)
            if wait is not None and wait.status is not WaitStatus.CANCELLED:
                self._held.to_close[at] = region
                continue
            had_begun = self._held.drop(at)
            had_begun |= self._at_work.drop(at)
            loop = self._regions.loops.pop(node_id, None)
            for body in list(loop.at_work.values()) if loop else ():
                self.drop(body, body.unfinished())
                had_begun = True
            self.skip(region, at, StepStatus.CANCELLED if had_begun else StepStatus.SKIPPED)

    def decide_again(self, region: Progress) -> None:
        """What stored steps decided for others is decided for those that are not stored, too."""
        for node_id in region.order:
            node = self._workflow.nodes[node_id]
            if node.joins_first and node_id in region.outputs:
                self.drop(region, region.unfinished(self._workflow.losers(node_id)))
            if node.type.ends_run and node_id in region.outputs:
                self._stretch.stopped = (region.outputs[node_id],)
        if region.error is not None:
            self.drop(region, region.unfinished())

    def fail(self, failed: Failed, attempts: int) -> None:
        """The run has failed; a crash before it is over does not change that."""
        if self._stretch.failure is None:
            self._stretch.failure = failed, attempts
            failure = RunFailure(failed.code, failed.cause, attempts)
            self._recorder.detail = replace(self._recorder.detail, failed=failure)

    def _settle_failure(self, region: Progress, ended: Ended, failed: Failed) -> None:
        at, number = ended.at, ended.attempt_number
        node = self._workflow.nodes[at.node_id]
        self._recorder.failed_attempt(self._around.new_id(), at, number, failed, ended.times)
        asked = failed.retry_after and min(failed.retry_after, MAX_ASKED_DELAY)
        follows = after_failure(number, node.settings.policy, self._around.chance(), asked)
        if isinstance(follows, GiveUp) or failed.is_final or not node.type.has_effects:
            self._held.drop(at)
            self._out_of_attempts(region, ended, failed)
        else:
            self._held.failures[at] = NodeFailures(number, ended.times.finished_at + follows.delay)
            self._held.retrying.add(at)

    def _out_of_attempts(self, region: Progress, ended: Ended, failed: Failed) -> None:
        """Go on by the error port, or as if nothing were wrong, or without this item; else the run has failed."""
        at = ended.at
        node = self._workflow.nodes[at.node_id]
        error = read_json(failed.cause)
        port = ERROR if node.has_error_port else node.ports[0] if node.settings.continues_on_error else None
        loop = self._regions.loop_around(region)
        status = StepStatus.FAILED
        if port is not None:
            region.end(at.node_id, port, {"error": error, "input": ended.input})
            self._regions.touch(region)
        elif loop is not None and loop.continues_on_error:
            region.error = error
            region.skip(at.node_id)
            self.drop(region, region.unfinished())
            self._regions.touch(region)
        else:
            self.fail(failed, ended.attempt_number)
            status = StepStatus.DEAD
        self._recorder.step(
            at,
            status,
            ended.times,
            port=port,
            input=shown(ended.input),
            output=write_json(region.outputs[at.node_id]) if port is not None else None,
            error=failed.cause,
            attempt_number=ended.attempt_number,
        )

    def _suspend(self, ended: Ended, for_what: Suspension) -> None:
        self._held.begun_at.setdefault(ended.at, ended.times.started_at)
        if isinstance(for_what, Sleep):
            self._held.sleeps[ended.at] = for_what.until
            self._stretch.must_store |= bool(self._at_work)  # else it is stored when the task goes to sleep
            if for_what.until <= self._around.now() + EARLY:
                self._held.slept.add(ended.at)
                self._regions.touch_at(ended.at)
        else:
            self._held.to_open[ended.at] = for_what
            if isinstance(for_what, AwaitEvent):
                self._publish(for_what.publishes)

    def _say(self, left: Left) -> None:
        """What a node says besides its output goes with its step, but not out of a test."""
        self._publish(left.publishes)
        if left.answer is not None and not self._state.run.is_test:
            self._recorder.answer(left.answer, self._around.now())

    def _publish(self, publications: Iterable[Publication]) -> None:
        if self._state.run.is_test:
            return
        for publication in publications:
            event = published(publication, self._state, self._recorder.detail, self._around.now())
            self._recorder.publish(event)
