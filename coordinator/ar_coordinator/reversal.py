"""What a commit on ``main`` states when an audit takes accepts back: which, for which version, on what evidence.

Not here: deciding it (``auditing``).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from ar_coordinator.evidence import EvidenceError, Score, commit_message, number_of, trailer_of

REVERTS = "Reverts"
"""The trailer that tells such a commit from the others."""
_EXACT, _UNREPEATABLE = "exact", "unrepeatable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reversal:
    """The version ``restored`` (a commit) is the best again; ``score`` and ``baseline`` are from the same pairs.

    ``baseline`` is the score of the version that is taken back, ``evidence`` the e-value for "that one is worse",
    ``None`` if exact or ``unrepeatable``: that one did not give the same score again, or none, and ``baseline`` is
    what it was accepted with. ``reverts`` are the experiments that are no longer accepted, newest first.
    """

    problem: str
    revision: int
    score: Score
    baseline: float
    pairs: int
    evidence: float | None
    verifier: str
    locked_digest: str
    restored: str
    reverts: tuple[str, ...]
    seeds: tuple[str, ...] = ()
    unrepeatable: bool = False

    @property
    def exact(self) -> bool:
        """Whether two scores that repeat tell which version is worse."""
        return self.evidence is None and not self.unrepeatable

    def to_message(self, decimals: int) -> bytes:
        """Return the commit message."""
        count = len(self.reverts)
        how = "did not repeat" if self.unrepeatable else "did not hold"
        what = f"Audit: {'an accept' if count == 1 else f'{count} accepts'} {how}, back to {self.restored[:7]}"
        plain = _UNREPEATABLE if self.unrepeatable else _EXACT
        trailers = {
            REVERTS: " ".join(self.reverts),
            "Restores": self.restored,
            "Problem": self.problem,
            "Revision": str(self.revision),
            "Score": str(self.score),
            "Baseline": repr(self.baseline),
            "Pairs": str(self.pairs),
            "Evidence": plain if self.evidence is None else repr(self.evidence),
            "Verifier": self.verifier,
            "Locked-Digest": self.locked_digest,
        }
        if self.seeds:
            trailers["Seeds"] = " ".join(self.seeds)
        return commit_message(what, self.score, decimals, trailers)

    @classmethod
    def from_trailers(cls, trailers: Mapping[str, str]) -> "Reversal":
        """Read the trailers of a commit; raises ``EvidenceError`` when one is missing or damaged."""
        evidence = trailer_of(trailers, "Evidence")
        reverts = tuple(trailer_of(trailers, REVERTS).split())
        if not reverts:
            raise EvidenceError(f"{REVERTS}: names no experiment")
        return cls(
            problem=trailer_of(trailers, "Problem"),
            revision=int(number_of(trailers, "Revision")),
            score=Score.parse(trailer_of(trailers, "Score")),
            baseline=number_of(trailers, "Baseline"),
            pairs=int(number_of(trailers, "Pairs")),
            evidence=None if evidence in {_EXACT, _UNREPEATABLE} else number_of(trailers, "Evidence"),
            unrepeatable=evidence == _UNREPEATABLE,
            verifier=trailer_of(trailers, "Verifier"),
            locked_digest=trailer_of(trailers, "Locked-Digest"),
            restored=trailer_of(trailers, "Restores"),
            reverts=reverts,
            seeds=tuple(trailers.get("Seeds", "").split()),
        )
