"""The parts of a run: the run itself, and the bodies of the loops that it is in. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kanca.domain.task import Step
from kanca.workflows.loops import Loop
from kanca.workflows.progress import At, Progress
from kanca.workflows.validation import PreparedNode, Workflow


class Regions:
    """Where a run is, put together from what is stored."""

    def __init__(self, workflow: Workflow, start: str, data: Any, steps: Sequence[Step]) -> None:
        """The run starts at the node ``start``, with ``data`` as its input; ``steps`` are stored."""
        self.loops: dict[str, Loop] = {}
        """Those that the run is in, by their nodes."""
        self._workflow = workflow
        self._loop_of = {node: loop for loop, body in workflow.loops.items() for node in body.order}
        self._stored: dict[tuple[str, int], list[Step]] = {}
        for step in steps:
            self._stored.setdefault((self._loop_of.get(step.node_id, ""), step.iteration), []).append(step)
        self._touched: dict[int, Progress] = {}
        self.main = Progress(workflow, workflow.part(start)).start_at(start, data)
        self.touch(self.main)
        if steps:
            self.main.restore(self._stored.get(("", 0), ()))

    def of(self, at: At) -> Progress | None:
        """What a node is part of; None when that has ended."""
        if not at.iteration:
            return self.main
        loop = self.loops.get(self._loop_of[at.node_id])
        return loop.at_work.get(at.iteration) if loop else None

    def touch(self, region: Progress) -> None:
        """Something has ended in it: it is to be looked at."""
        self._touched[id(region)] = region

    def touch_at(self, at: At) -> None:
        """As ``touch``, for what a node is part of, if that goes on."""
        region = self.of(at)
        if region is not None:
            self.touch(region)

    def next_touched(self) -> Progress | None:
        """The next one that is to be looked at; it counts as looked at from then on."""
        return self._touched.pop(next(iter(self._touched))) if self._touched else None

    def enter(self, node: PreparedNode, items: Sequence[Any], outer: Progress) -> Loop:
        """Be in a loop. Its items begin with what is stored of them."""
        body = self._workflow.loops[node.id]

        def begin(number: int, item: Any) -> Progress:
            progress = Progress(self._workflow, body, number).enter(node.id, item, outer)
            progress.restore(self._stored.pop((node.id, number), ()))
            return progress

        loop = self.loops[node.id] = Loop(
            node.id,
            items,
            node.settings.config.concurrency,
            begin,
            continues_on_error=node.settings.continues_on_error,
        )
        return loop

    def loop_around(self, region: Progress) -> Loop | None:
        """The loop that a region is an item of, while the run is in it."""
        return self.loops.get(region.loop or "")

    def left_over(self, at: At) -> Progress | None:
        """The body with a node whose loop has ended without it, as it is stored; None of all others."""
        loop = self._loop_of.get(at.node_id)
        if loop is None or not self.main.has_ended(loop):
            return None
        body = Progress(self._workflow, self._workflow.loops[loop], at.iteration)
        body.enter(loop, None, self.main).restore(self._stored.get((loop, at.iteration), ()))
        return body
