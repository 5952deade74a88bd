"""What publishing a folder again changes: nothing, only what is told of the problem, or what its scores depend on.

Not here: doing anything about it (``opening``).
"""

from collections.abc import Mapping
from dataclasses import replace
from enum import Enum

from ar_core.paths import within
from ar_core.problem import MANIFEST_NAME, Problem, Search


class Change(Enum):
    """What a folder that is published again would change of the revision before it."""

    NOTHING = "nothing"
    WORDS = "words"
    """Nothing that a score depends on: its scores may be compared with those of the revision before."""
    SCORES = "scores"


def change_of(
    before: Problem, files_before: Mapping[str, str], after: Problem, files_after: Mapping[str, str]
) -> Change:
    """Return what changed between two folders (path to SHA-256); the mutable file does not count."""
    if _rules(before) != _rules(after):
        return Change.SCORES
    changed = {
        path
        for path in {*files_before, *files_after} - {after.files.mutable}
        if files_before.get(path) != files_after.get(path)
    }
    if any(_is_scored_with(before, path) or _is_scored_with(after, path) for path in changed):
        return Change.SCORES
    return Change.WORDS if changed else Change.NOTHING


def _rules(problem: Problem) -> Problem:
    """Return a problem without what is only told of it, or asked of volunteers' agents."""
    files = replace(problem.files, program="")
    return replace(problem, title="", summary="", licence="", tags=(), search=Search(), files=files)


def _is_scored_with(problem: Problem, path: str) -> bool:
    """Tell whether a file may matter to a score: hidden, or in the rooms and no mere text for readers.

    The manifest counts by what it says (``_rules``). The goal's text counts where its publisher lists it as locked.
    """
    if path == MANIFEST_NAME:
        return False
    if path == problem.files.program:
        return any(within(path, entry) for entry in problem.files.locked)
    return problem.is_hidden(path) or problem.is_locked(path)
