"""Trailers: what is written is what is read, and nothing a stranger writes becomes one."""

import math
import subprocess
import unicodedata
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ar_coordinator.evidence import Evidence, EvidenceError, Publication, Score, parse_trailers

EVIDENCE = Evidence(
    experiment="x-123",
    problem="circle-packing",
    revision=2,
    contributor="amber otter",
    worker="m-abc123",
    agent="tuner",
    score=Score(value=2.635983, unit="r", n=16, interval=(2.63, 2.64)),
    baseline=2.5,
    claimed=2.64,
    gain=0.135983,
    pairs=16,
    evidence=231.5,
    verifier="v-1",
    locked_digest="sha256:" + "0f" * 32,
    parent_experiment="x-100",
    seeds=("aa11", "bb22"),
)
PUBLICATION = Publication(problem="abc", revision=1, score=Score(value=0.5), locked_digest="0f")

numbers = st.floats(allow_nan=False, allow_infinity=False)
# Text as an attacker would choose it: line ends, colons, trailer names, control and bidirectional characters.
hostile = st.one_of(
    st.text(max_size=150),
    st.lists(
        st.sampled_from(
            [
                *[
                    "\n",
                    "\r\n",
                    "\n\n",
                    "\x00",
                    "\x85",
                    "\x1b[31m",
                    "\u2028",
                    "\u202e",
                    "é",
                    "---",
                    "#",
                    "[n=3]",
                    "gpgsig ",
                    ": ",
                    " ",
                ],
                *("Score: 9", "Signed-off-by: x <y>", " [n=3; 1.0 to 2.0]"),
            ]
        ),
        max_size=8,
    ).map("".join),
)
ids = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,30}", fullmatch=True)
scores = st.builds(
    Score,
    value=numbers,
    unit=hostile,
    n=st.integers(1, 10**6),
    interval=st.none() | st.tuples(numbers, numbers),
)
evidences = st.builds(
    Evidence,
    experiment=ids,
    problem=st.from_regex(r"[a-z0-9-]{3,64}", fullmatch=True),
    revision=st.integers(1, 10**9),
    contributor=hostile,
    worker=hostile,
    agent=hostile,
    score=scores,
    baseline=numbers,
    claimed=st.none() | numbers,
    gain=numbers,
    pairs=st.integers(0, 10**6),
    evidence=st.none() | numbers,
    verifier=hostile,
    locked_digest=st.from_regex(r"[0-9a-f]{64}", fullmatch=True),
    parent_experiment=st.none() | ids.filter(lambda text: text != "root"),
    seeds=st.lists(st.from_regex(r"[0-9a-f]{1,64}", fullmatch=True), max_size=5).map(tuple),
)


def test_the_message_reads_as_designed() -> None:
    assert EVIDENCE.to_message("anneal longer", decimals=3).decode() == (
        "anneal longer: 2.636 r\n"
        "\n"
        "Experiment: x-123\n"
        "Problem: circle-packing\n"
        "Revision: 2\n"
        "Contributor: amber otter\n"
        "Worker: m-abc123\n"
        "Agent: tuner\n"
        "Score: 2.635983 r [n=16; 2.63 to 2.64]\n"
        "Baseline: 2.5\n"
        "Claimed: 2.64\n"
        "Gain: 0.135983\n"
        "Pairs: 16\n"
        "Evidence: 231.5\n"
        "Verifier: v-1\n"
        f"Locked-Digest: sha256:{'0f' * 32}\n"
        "Parent-Experiment: x-100\n"
        "Seeds: aa11 bb22\n"
    )


def test_exact_evidence_of_a_proposal_without_a_claim_on_the_published_file() -> None:
    exact = replace(EVIDENCE, evidence=None, claimed=None, parent_experiment=None, seeds=())
    trailers = parse_trailers(exact.to_message("x").decode())
    assert (trailers["Evidence"], trailers["Claimed"], trailers["Parent-Experiment"]) == ("exact", "none", "root")
    assert "Seeds" not in trailers
    assert Evidence.from_trailers(trailers) == exact


def test_a_publication_states_the_baseline() -> None:
    message = PUBLICATION.to_message().decode()
    assert message.startswith("Publish abc: 0.5\n\n")
    trailers = parse_trailers(message)
    assert list(trailers) == ["Problem", "Revision", "Score", "Locked-Digest"]
    assert Publication.from_trailers(trailers) == PUBLICATION


@given(evidences, hostile)
def test_round_trip_whatever_strangers_write(evidence: Evidence, note: str) -> None:
    message = evidence.to_message(note).decode("utf-8")
    assert Evidence.from_trailers(parse_trailers(message)) == evidence
    subject, empty, *lines = message.split("\n")
    assert subject.strip()
    assert empty == ""
    assert lines.pop() == ""
    assert [line.split(": ")[0] for line in lines][:3] == ["Experiment", "Problem", "Revision"]
    assert len(lines) == 15 + bool(evidence.seeds)
    assert not any(unicodedata.category(c) in {"Cc", "Cs", "Zl", "Zp"} for c in message if c != "\n")
    assert not set("\u202e\u2066\u200f") & set(message)


def test_the_first_commit_states_what_scores_are_rounded_to() -> None:
    rounded = replace(PUBLICATION, step=0.05)
    trailers = parse_trailers(rounded.to_message().decode())
    assert trailers["Rounded-To"] == "0.05"
    assert Publication.from_trailers(trailers) == rounded
    for wrong in ("0.0", "-1.0", "nan", "inf", "much", ""):
        with pytest.raises(EvidenceError, match="Rounded-To"):
            Publication.from_trailers({**trailers, "Rounded-To": wrong})


@pytest.mark.parametrize("stated", [EVIDENCE, PUBLICATION])
def test_a_low_integrity_is_stated_and_a_high_one_goes_without_saying(stated: Evidence | Publication) -> None:
    assert "Integrity" not in parse_trailers(stated.to_message("note").decode())
    low = replace(stated, integrity="low")
    trailers = parse_trailers(low.to_message("note").decode())
    assert trailers["Integrity"] == "low"
    assert type(stated).from_trailers(trailers) == low


@given(scores)
def test_a_score_begins_with_its_plain_number(score: Score) -> None:
    assert repr(score.value) == str(score).split(" ")[0]
    assert float(str(score).split(" ")[0]) == score.value
    assert Score.parse(str(score)) == score


def test_git_reads_the_same_trailers() -> None:
    """Fixed hostile notes, many to a process, through git's own parser with its divider rule on."""
    notes = ["Score: 9", "--- a", "---", "# x", "Signed-off-by: a\n\nScore: 1", "x\n---\nScore: 3", "é\u202e\0"]
    for note in notes:
        message = EVIDENCE.to_message(note)
        read = subprocess.run(
            ["git", "interpret-trailers", "--parse"], input=message, capture_output=True, check=True
        ).stdout.decode()
        assert dict(line.split(": ", 1) for line in read.splitlines()) == parse_trailers(message.decode())


@pytest.mark.parametrize(
    "message",
    ["", "Score: 1", "Score: 1\nGain: 2\n", "subject\n\nbody\n", "subject\n\nScore: 1\nnot one\n", "\n\n\n"],
)
def test_what_is_no_trailer_block(message: str) -> None:
    assert parse_trailers(message) == {}


def test_the_first_of_two_equal_trailers_counts() -> None:
    assert parse_trailers("s\n\nScore: 1\nScore: 2\n") == {"Score": "1"}


@pytest.mark.parametrize(
    "name", [line.split(": ")[0] for line in EVIDENCE.to_message("x").decode().split("\n")[2:-2]]
)
def test_a_missing_or_damaged_trailer_is_named(name: str) -> None:
    trailers = parse_trailers(EVIDENCE.to_message("x").decode())
    with pytest.raises(EvidenceError, match=name):
        Evidence.from_trailers({key: value for key, value in trailers.items() if key != name})
    if name not in {"Contributor", "Worker", "Agent", "Verifier"}:
        with pytest.raises(EvidenceError, match=name):
            Evidence.from_trailers(trailers | {name: "!?"})


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_numbers_are_finite(value: float) -> None:
    with pytest.raises(EvidenceError):
        Score(value=value)
    with pytest.raises(EvidenceError):
        Score(value=1.0, interval=(0.0, value))
    for field in ("baseline", "claimed", "gain", "evidence"):
        with pytest.raises(EvidenceError):
            replace(EVIDENCE, **{field: value})


@pytest.mark.parametrize(
    "change",
    [
        {"experiment": "a\nb"},
        {"experiment": ""},
        {"problem": "A"},
        {"problem": "ab"},
        {"revision": 0},
        {"pairs": -1},
        {"locked_digest": ""},
        {"parent_experiment": "root"},
        {"parent_experiment": "a b"},
        {"seeds": ("a b",)},
        {"seeds": ("",)},
        {"integrity": "medium"},
    ],
)
def test_our_own_fields_have_one_form(change: dict[str, object]) -> None:
    with pytest.raises(EvidenceError):
        replace(EVIDENCE, **change)


@pytest.mark.parametrize(
    "text", ["", "nan [n=1]", "inf [n=1]", "1.0", "1.0 s", "1_0 [n=1]", "1.0 [n=0]", "x 1.0 [n=1]"]
)
def test_texts_that_are_no_score(text: str) -> None:
    with pytest.raises(EvidenceError):
        Score.parse(text)


def test_a_revision_that_goes_on_says_with_which() -> None:
    further = replace(PUBLICATION, revision=3, continues=2)
    message = further.to_message("Other words").decode()
    assert "\nContinues: 2\n" in message
    assert Publication.from_trailers(parse_trailers(message)) == further
    assert Publication.from_trailers(parse_trailers(PUBLICATION.to_message().decode())) == PUBLICATION
    for wrong in (0, 3, 4):
        with pytest.raises(EvidenceError, match="Continues"):
            replace(further, continues=wrong)
