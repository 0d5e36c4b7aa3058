"""The event loop, the clocks and the tasks of the process: the one place that asks for them."""

import asyncio
import sys
import time
from collections.abc import Callable, Coroutine
from typing import Any


def new_event_loop(*, prefer_uvloop: bool = True) -> asyncio.AbstractEventLoop:
    """Return a uvloop where it is installed, else asyncio's own."""
    if prefer_uvloop and sys.platform != "win32":
        try:
            import uvloop  # noqa: PLC0415 - optional; asyncio is the tested fallback
        except ImportError:
            pass
        else:
            loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
            return loop
    return asyncio.new_event_loop()


def wall_ms() -> int:
    """Return the wall clock, milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def raise_descriptor_limit() -> int:
    """Lift the soft limit of open descriptors to the hard one; return what holds now, 0 = none."""
    if sys.platform == "win32":
        return 0
    import resource  # noqa: PLC0415 - not on Windows

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (ValueError, OSError):
            hard = soft  # macOS promises more than it gives
    return 0 if hard == resource.RLIM_INFINITY else hard


class Tasks:
    """Owns tasks so that none is lost: kept until done, failures reported, cancelled at the end.

    Args:
        on_error: Gets the exception of a task that failed, which is always a bug.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, on_error: Callable[[BaseException], None]
    ) -> None:
        self._loop = loop
        self._on_error = on_error
        self._tasks: set[asyncio.Task[Any]] = set()

    def start(self, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run `coroutine` until it ends or `cancel_all`; started at once where Python can."""
        task: asyncio.Task[Any] = (
            asyncio.Task(coroutine, loop=self._loop, eager_start=True)  # type: ignore[call-arg]
            if sys.version_info >= (3, 12)
            else self._loop.create_task(coroutine)
        )
        if task.done():
            self._on_done(task)
        else:
            self._tasks.add(task)
            task.add_done_callback(self._on_done)
        return task

    def __len__(self) -> int:
        return len(self._tasks)

    async def cancel_all(self) -> None:
        """Cancel what runs and wait for it."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.gather(*tasks, return_exceptions=True)

    def _on_done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            error = task.exception()
            if error is not None:
                self._on_error(error)
