"""Children of ``serve``: started, watched and started again; none of them outlives it.

Not here: what they do.
"""

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Sequence

import structlog

log = structlog.get_logger("serve")

_PR_SET_PDEATHSIG = 1
_FIRST_DELAY, _LONGEST_DELAY = 0.1, 5.0


def end_with_parent(parent: int) -> None:
    """Ask the kernel to end this process when the one that started it ends; for a child's first lines."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(0)


class Child:
    """One child process, started again whenever it ends."""

    def __init__(self, name: str, command: Sequence[str]) -> None:
        self.name = name
        self._command = [*command, "--parent", str(os.getpid())]
        self._process: asyncio.subprocess.Process | None = None
        self._task: asyncio.Task[None] | None = None
        self._stopping = False

    @property
    def pid(self) -> int | None:
        """The process now, if there is one."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    def start(self) -> None:
        """Start and watch."""
        self._task = asyncio.create_task(self._watch(), name=self.name)

    async def _watch(self) -> None:
        delay = _FIRST_DELAY
        loop = asyncio.get_running_loop()
        while not self._stopping:
            begun = loop.time()
            code: int | str
            try:
                self._process = await asyncio.create_subprocess_exec(
                    *self._command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL
                )
                code = await self._process.wait()
            except OSError as error:  # no memory or no process to be had now; later perhaps
                code = str(error)
            if self._stopping:
                return
            log.warning("process ended, starting it again", process=self.name, code=code)
            delay = _FIRST_DELAY if loop.time() - begun > _LONGEST_DELAY else min(_LONGEST_DELAY, delay * 2)
            await asyncio.sleep(delay)

    async def stop(self, seconds: float = 4.0) -> None:
        """End the process, by force when it does not end by itself."""
        self._stopping = True
        process = self._process
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            try:
                await asyncio.wait_for(process.wait(), seconds)
            except TimeoutError:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
