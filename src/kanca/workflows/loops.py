"""The items of a loop: how many are at it, and what came of each. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from kanca.workflows.progress import Progress


class Loop:
    """A loop that a run is in."""

    def __init__(
        self,
        node_id: str,
        items: Sequence[Any],
        concurrency: int,
        begin: Callable[[int, Any], Progress],
        *,
        continues_on_error: bool,
    ) -> None:
        """``begin`` gives the body for an item (by its number, from 1), with what is stored of it."""
        self.node_id = node_id
        self.continues_on_error = continues_on_error
        """An item that fails leaves its error among the results."""
        self.at_work: dict[int, Progress] = {}
        """The bodies that were begun and have not ended, by the numbers of their items."""
        self._items = items
        self._concurrency = concurrency
        self._begin = begin
        self._results: list[Any] = [None] * len(items)
        self._begun = 0

    def begin_more(self) -> list[Progress]:
        """Begin with as many further items as there is room for."""
        begun = []
        while self._begun < len(self._items) and len(self.at_work) < self._concurrency:
            self._begun += 1
            body = self._begin(self._begun, self._items[self._begun - 1])
            self.at_work[self._begun] = body
            begun.append(body)
        return begun

    def end(self, body: Progress) -> None:
        """An item is done with."""
        result = body.result() if body.error is None else {"error": body.error}
        self._results[body.iteration - 1] = result
        del self.at_work[body.iteration]

    @property
    def is_complete(self) -> bool:
        """Whether all items are done with."""
        return self._begun == len(self._items) and not self.at_work

    def results(self) -> list[Any]:
        """What came of the items, in their order."""
        return self._results
