"""How far a run can go at once: nodes without effects are computed, loops entered, and it is said what can begin."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from kanca.domain.status import StepStatus
from kanca.workflows.attempting import Attempts
from kanca.workflows.calling import Succeeded
from kanca.workflows.loops import Loop
from kanca.workflows.playing import is_played
from kanca.workflows.progress import At, Fate, Progress
from kanca.workflows.recording import Times
from kanca.workflows.settling import Settler
from kanca.workflows.step import Came
from kanca.workflows.stretch import Ended, Stretch
from kanca.workflows.validation import PreparedNode
from kanca.workflows.values import write_json

LONG_COMPUTATION = timedelta(milliseconds=5)
"""After a node that took so long, the other runs of the process have their turn."""


class Advance:
    """Takes a run on, up to the nodes with effects."""

    def __init__(self, stretch: Stretch, attempts: Attempts, settler: Settler) -> None:
        self._stretch = stretch
        self._around = stretch.around
        self._workflow = stretch.workflow
        self._held = stretch.held
        self._regions = stretch.regions
        self._attempts = attempts
        self._settler = settler

    async def compute(self) -> list[At]:
        """End all that ends without effects; gives the nodes with effects that can begin."""
        ready: dict[At, None] = {}
        while not self._stretch.is_decided() and (region := self._regions.next_touched()) is not None:
            for node_id in region.order:
                at = At(node_id, region.iteration)
                if self._stretch.is_decided():
                    return []
                is_open = not (region.has_ended(node_id) or at in ready or self._stretch.is_busy(at))
                if is_open and await self._go_on(region, at):
                    ready[at] = None
            self._end_item(region)
        return [] if self._stretch.is_decided() else [at for at in ready if self._is_open(at)]

    def _is_open(self, at: At) -> bool:
        """Whether a node has not ended: another one may have made it needless."""
        region = self._regions.of(at)
        return region is not None and not region.has_ended(at.node_id)

    async def _go_on(self, region: Progress, at: At) -> bool:
        """Do with a node what can be done at once; whether it is to be begun."""
        match region.fate(at.node_id):
            case Fate.WAITS:
                return False
            case Fate.SKIPPED:
                self._settler.skip(region, at, StepStatus.SKIPPED)
                return False
        node = self._workflow.nodes[at.node_id]
        wait = self._held.ended_wait(at)
        if wait is not None:
            self._settler.settle(await self._attempts.came_to(region, at, wait))
        elif at in self._held.slept:
            self._settler.settle(await self._attempts.resumed(region, at, Came()))
        elif node.type.is_loop and not self._is_played(node):
            await self._enter(region, at)
        elif node.type.has_effects and not self._is_played(node):
            return True
        else:
            ended = await self._attempts.make(region, at)
            self._settler.settle(ended)
            if ended.times.finished_at - ended.times.started_at > LONG_COMPUTATION:
                await asyncio.sleep(0)  # others want to be served too
        return False

    def _is_played(self, node: PreparedNode) -> bool:
        return is_played(self._stretch.recorder.detail.test, node)

    # Loops --------------------------------------------------------------------------------------

    async def _enter(self, region: Progress, at: At) -> None:
        """Begin with the items of a loop."""
        node = self._workflow.nodes[at.node_id]
        ended = await self._attempts.make(region, at)
        if not isinstance(ended.result, Succeeded) or self._is_played(node):
            self._settler.settle(ended)
            return
        loop = self._regions.enter(node, ended.result.output, region)
        self._held.begun_at[at] = ended.times.started_at
        self._begin_items(loop)

    def _begin_items(self, loop: Loop) -> None:
        for body in loop.begin_more():
            self._regions.touch(body)
            self._settler.decide_again(body)
        if loop.is_complete:
            del self._regions.loops[loop.node_id]
            at = At(loop.node_id)
            value = self._regions.main.input_of(loop.node_id)
            result = Succeeded("out", loop.results(), write_json(loop.results()), None)
            now = self._around.now()
            times = Times(self._held.begun_at.pop(at, now), now)
            self._settler.settle(Ended(at, value, 1, times, result))

    def _end_item(self, body: Progress) -> None:
        """Go on with the next items, if one is done with."""
        if not body.iteration or not body.is_complete():
            return
        loop = self._regions.loop_around(body)
        if loop is not None and loop.at_work.get(body.iteration) is body:
            loop.end(body)
            self._begin_items(loop)
