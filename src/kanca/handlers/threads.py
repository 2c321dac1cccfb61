"""Threads for sync handlers.

Not a ``ThreadPoolExecutor``: that one is joined when the interpreter ends, so a handler that hangs would keep the
process from ending. These threads are daemons and go down with the process. How many there are is bounded by whoever
calls (a worker has only so many slots).
"""

from __future__ import annotations

import asyncio
import contextvars
import queue
import threading
from collections.abc import Callable
from typing import Any

Job = tuple[asyncio.AbstractEventLoop, "asyncio.Future[Any]", contextvars.Context, Callable[[], Any]]


class SyncThreads:
    """Runs functions in threads that are used again. Everything but the functions happens on one event loop."""

    def __init__(self) -> None:
        self._idle: list[_Thread] = []
        self.abandoned = 0
        """Threads that still run something nobody waits for any more."""

    def run(self, function: Callable[[], Any]) -> asyncio.Future[Any]:
        """Call ``function`` in a thread, in a copy of the present context. Cancelling the future does not stop it."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        thread = self._idle.pop() if self._idle else _Thread(self._idle.append)
        thread.jobs.put((loop, future, contextvars.copy_context(), function))
        return future

    def abandon(self, future: asyncio.Future[Any]) -> None:
        """Stop caring for a call that was started; its thread counts as ``abandoned`` until it returns."""
        if not future.done():
            self.abandoned += 1
            future.add_done_callback(self._is_back)

    def close(self) -> None:
        """End the threads that have nothing to do; the others end with the process."""
        for thread in self._idle:
            thread.jobs.put(None)
        self._idle.clear()

    def _is_back(self, future: asyncio.Future[Any]) -> None:
        self.abandoned -= 1
        if not future.cancelled():
            future.exception()  # seen: the event loop need not complain that nobody asked


class _Thread:
    def __init__(self, on_idle: Callable[[_Thread], None]) -> None:
        self.jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._on_idle = on_idle
        threading.Thread(target=self._work, name="kanca-sync", daemon=True).start()

    def _work(self) -> None:
        while (job := self.jobs.get()) is not None:
            loop, future, context, function = job
            result: Any = None
            error: BaseException | None = None
            try:
                result = context.run(function)
            except BaseException as raised:  # noqa: BLE001 - SystemExit too: it ends the handler, not the worker
                error = raised
            try:
                loop.call_soon_threadsafe(self._deliver, future, result, error)
            except RuntimeError:
                return  # the loop is closed: nobody waits, and nobody will come
            del (
                job,
                future,
                context,
                function,
                result,
                error,
            )  # not to be kept alive while this thread is idle

    def _deliver(self, future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
        self._on_idle(self)
        if future.cancelled():
            return
        if error is None:
            future.set_result(result)
        elif isinstance(error, StopIteration):
            future.set_exception(RuntimeError("the handler raised StopIteration"))
        else:
            future.set_exception(error)
