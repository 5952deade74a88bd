"""A thread that makes the calls, so that Ctrl-C in the main thread never stops gRPC half-way through its own locks.

Not here: what is called. (A KeyboardInterrupt inside gRPC can leave a channel that hangs when it is closed.)
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, TypeVar, cast

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    function: Callable[[], Any]
    answer: "SimpleQueue[tuple[bool, Any]]"


class Apart:
    """Runs one function after the other in a thread of its own, which ends with the process."""

    def __init__(self) -> None:
        self._jobs: SimpleQueue[_Job] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="calls", daemon=True)
        self._thread.start()

    def __call__(self, function: Callable[[], T]) -> T:
        """Return what ``function`` returns, or raise what it raises; a signal ends the waiting, not the function."""
        answer: SimpleQueue[tuple[bool, Any]] = SimpleQueue()
        self._jobs.put(_Job(function=function, answer=answer))
        good, value = answer.get()
        if good:
            return cast("T", value)
        raise value

    def _work(self) -> None:
        while True:
            self._do(self._jobs.get())

    @staticmethod
    def _do(job: _Job) -> None:
        try:
            job.answer.put((True, job.function()))
        except BaseException as error:
            job.answer.put((False, error))
