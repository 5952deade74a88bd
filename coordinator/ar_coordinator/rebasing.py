"""Making a stale candidate's change again on today's best version, so that parallel work is not thrown away.

Not here: whether the outcome is a gain, which is verified like anything else.
"""

import subprocess
import tempfile
from pathlib import Path

from ar_coordinator.git_store import GIT_SECONDS, git_environment, git_program
from ar_core.candidate import check_policy, content_hash
from ar_core.problem import Problem
from ar_search.languages import language_of
from ar_search.rebase import add_changes
from ar_search.validate import parses

_SHARE = 0.3
"""Of the runs that verification took so far, as many may go into rebased candidates."""
_FREE = 40
"""So many runs may go there before there is anything to take a share of."""
_MOST_CONFLICTS = 127
"""What ``git merge-file`` exits with is the number of conflicts up to here; beyond is an error."""


def may_rebase(runs: int, *, rebased: int, spent: int) -> bool:
    """Tell whether so many ``runs`` more may go into a rebased candidate, where ``rebased`` of ``spent`` runs did."""
    return rebased + runs <= max(_FREE, _SHARE * spent)


def rebase(problem: Problem, parent: bytes, candidate: bytes, best: bytes) -> bytes | None:
    """Return ``best`` with the change made that leads from ``parent`` to ``candidate``.

    Where only numbers differ their steps are added; else git merges the three line by line. ``None`` where the two
    changes touch the same lines, where nothing new comes of it, or where the outcome breaks the one-file rule or,
    other than the best, no longer parses. Raises ``OSError`` and ``subprocess.SubprocessError`` when git fails.
    """
    if content_hash(parent) == content_hash(best):
        return None
    files = problem.files
    merged = add_changes(
        parent=parent, candidate=candidate, best=best, path=files.mutable, hints=problem.search.tune
    ) or merge_lines(parent, candidate, best)
    if merged is None or check_policy(merged, files.max_bytes) is not None:
        return None
    if content_hash(merged) in {content_hash(known) for known in (parent, candidate, best)}:
        return None
    language = language_of(files.mutable)
    if parses(best.decode(), language) and not parses(merged.decode(), language):
        return None
    return merged


def merge_lines(parent: bytes, candidate: bytes, best: bytes) -> bytes | None:
    """Return the three-way merge of the one file, ``None`` where the two changes conflict."""
    with tempfile.TemporaryDirectory(prefix="ar-merge-") as folder:
        names = ("best", "parent", "candidate")
        for name, content in zip(names, (best, parent, candidate), strict=True):
            Path(folder, name).write_bytes(content)
        done = subprocess.run(
            [git_program(), "merge-file", "--stdout", "--quiet", *names],
            cwd=folder, env=git_environment(), capture_output=True, check=False, timeout=GIT_SECONDS,
        )  # fmt: skip
    if done.returncode == 0:
        return done.stdout
    if 0 < done.returncode <= _MOST_CONFLICTS:
        return None
    raise subprocess.CalledProcessError(done.returncode, done.args, done.stdout, done.stderr)
