"""A task with its bytes: the problem as this machine can run it, and what an agent may read.

Not here: fetching the bytes (``connection``) and running them (``lease``).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from ar_core.manifest import MAX_BUNDLE_BYTES, MAX_FILES, ManifestError, read_manifest
from ar_core.paths import path_problem
from ar_core.problem import MANIFEST_NAME, Problem
from ar_core.text import one_line
from ar_sandbox.environment import base_interpreter, satisfies
from ar_sandbox.result import PreparedProblem
from ar_search.agent import Inspiration
from ar_worker.task import Task

MAX_CORPUS_BYTES = 256 * 1024
_SHA256_LENGTH = 64


class UnusableTaskError(Exception):
    """A task that this machine cannot work on; its text says why, for the pool and the owner to read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """Everything one lease needs."""

    task: Task
    prepared: PreparedProblem
    parent: bytes
    inspirations: tuple[Inspiration, ...]

    @property
    def problem(self) -> Problem:
        """The problem."""
        return self.prepared.problem

    @property
    def corpus(self) -> tuple[bytes, ...]:
        """The public files as reading matter for an agent, small ones first, bounded."""
        chosen, left = [], MAX_CORPUS_BYTES
        for data in sorted(self.prepared.files.values(), key=len):
            if len(data) <= left:
                chosen.append(data)
                left -= len(data)
        return tuple(chosen)


def read_bundle(data: bytes) -> dict[str, str]:
    """Return a bundle's table, path to SHA-256; raises ``UnusableTaskError`` unless every entry is in order."""
    try:
        table = json.loads(data)
    except (ValueError, RecursionError):
        table = None
    if not isinstance(table, dict) or len(table) > MAX_FILES:
        raise UnusableTaskError("the bundle is not a table of files")
    for path, name in table.items():
        if path_problem(path) is not None:
            raise UnusableTaskError(f"the bundle has the path {one_line(path, limit=80)}")
        if not isinstance(name, str) or len(name) != _SHA256_LENGTH or not name.isalnum():
            raise UnusableTaskError("the bundle names something that is not a SHA-256")
    return table


def read_material(
    task: Task, files: Mapping[str, bytes], parent: bytes, inspirations: tuple[Inspiration, ...]
) -> Material:
    """Return what a lease needs; raises ``UnusableTaskError`` where this machine cannot run the problem."""
    if sum(map(len, files.values())) > MAX_BUNDLE_BYTES:
        raise UnusableTaskError("the bundle is too large")
    try:
        problem = read_manifest(files.get(MANIFEST_NAME, b""))
    except ManifestError as error:
        raise UnusableTaskError(f"the manifest cannot be read: {one_line(str(error))}") from None
    version = base_interpreter().version
    if not satisfies(version, problem.environment.python):
        have = ".".join(map(str, version))
        raise UnusableTaskError(f"the problem needs Python {problem.environment.python}, this machine has {have}")
    if len(parent) > problem.files.max_bytes:
        raise UnusableTaskError("the parent is larger than the problem allows")
    prepared = PreparedProblem.of(problem, files, with_hidden=False)
    return Material(task=task, prepared=prepared, parent=parent, inspirations=inspirations)
