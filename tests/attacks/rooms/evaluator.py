"""A process that has a sandbox, as a verifier or a worker is one: it opens problems and evaluates what it is told to.

Not here: attacks and what is expected of them. It reads JSON, one request per line, and answers in kind; whatever a
room leaves behind becomes its child, so that it can tell.
"""

import base64
import ctypes
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import psutil

from ar_core.errors import PoolError
from ar_core.manifest import read_manifest
from ar_sandbox.policy import Caps
from ar_sandbox.rooms import OpenProblem, PreparedProblem, RunSeeds, Sandbox

_PR_SET_CHILD_SUBREAPER = 36


class Evaluator:
    """Answers requests with the problems that are open."""

    def __init__(self) -> None:
        self._sandbox = Sandbox.detect()
        self._open: dict[str, OpenProblem] = {}

    def hello(self) -> dict[str, Any]:
        """Say what makes the rooms here."""
        return {"name": self._sandbox.name, "user": os.getuid(), "pid": os.getpid()}

    def open(self, name: str, files: dict[str, str], *, with_hidden: bool) -> dict[str, Any]:
        """Put a problem on a stage, under a name."""
        content = {path: base64.b64decode(data) for path, data in files.items()}
        prepared = PreparedProblem.of(read_manifest(content["problem.toml"]), content, with_hidden=with_hidden)
        self._open[name] = self._sandbox.open(prepared)
        return {}

    def close(self, name: str) -> dict[str, Any]:
        """Give a stage back."""
        self._open.pop(name).close()
        return {}

    def evaluate(self, name: str, candidate: str, seeds: list[int], caps: dict[str, Any]) -> dict[str, Any]:
        """Score a candidate, and count what is there afterwards that was not there before."""
        before = set(psutil.Process().children(recursive=True))
        files = len(list(Path("/proc/self/fd").iterdir()))
        begun = time.monotonic()
        result = self._open[name].evaluate(
            base64.b64decode(candidate), RunSeeds(run=seeds[0], scorer=seeds[1]), caps=Caps(**caps)
        )
        seconds = time.monotonic() - begun
        left = [process for process in psutil.Process().children(recursive=True) if process not in before]
        for process in left:
            # A dead orphan waits for whoever adopted it.
            if process.status() == psutil.STATUS_ZOMBIE:
                os.waitpid(process.pid, 0)
        return {
            "outcome": result.outcome.value,
            "score": result.score,
            "secondary": dict(result.secondary),
            "feedback": result.feedback,
            "seconds": seconds,
            "left": [" ".join(process.cmdline()) for process in left if process.is_running()],
            "descriptors": len(list(Path("/proc/self/fd").iterdir())) - files,
        }


def main() -> None:
    """Answer until there is no more request."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    evaluator = Evaluator()
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = getattr(evaluator, request.pop("do"))(**request)
        except PoolError as error:
            answer = {"error": error.code, "detail": str(error)}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
