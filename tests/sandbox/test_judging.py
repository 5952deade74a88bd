"""What a registration finds is for everybody to read: with hidden files there is no exact score in it."""

from dataclasses import replace

from ar_core.metric import Direction, MinGain
from ar_core.problem import Acceptance, BestKnown, Evaluation, Files, Kind, Metric, Noise, Problem
from ar_sandbox import judging
from ar_sandbox.judging import Findings
from ar_sandbox.report import NoiseReport

OPEN = Problem(
    name="p-1", title="P", files=Files(program="program.md", mutable="a.json"),
    metric=Metric(name="m", direction=Direction.MAXIMIZE, best_known=BestKnown(value=0.5)),
    evaluation=Evaluation(kind=Kind.DATA, score=("./s",), time_budget=1.0, score_timeout=1.0),
    acceptance=Acceptance(noise=Noise.SEED, min_gain=MinGain(value=0.01, relative=True), window=(0.0, 0.4)),
)  # fmt: skip
HIDDEN = replace(OPEN, files=replace(OPEN.files, hidden=("hidden/",)))
SEEN = NoiseReport(declared="seed", deterministic=False, sd=0.02, mean=0.612345, n=5, secondary={})


def found(problem: Problem) -> list[str]:
    report = Findings()
    judging.min_gain(problem, SEEN, 1.0, report)
    judging.baseline(problem, SEEN, report)
    return [finding.message for finding in report.found]


def test_the_baseline_is_in_no_finding_where_files_are_hidden() -> None:
    told, kept = found(OPEN), found(HIDDEN)
    assert [sum(digits in message for message in told) for digits in ("0.612345", "0.0122469")] == [2, 1]
    assert len(kept) == len(told) == 3
    assert not [message for message in kept if "0.61" in message or "0.0122" in message]
    assert "a gain of 0.012 needs" in kept[0]
    assert kept[1] == "the baseline is outside the window [0, 0.4]"
    assert kept[2] == "the baseline is better than the best known 0.5"
