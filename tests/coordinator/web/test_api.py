"""The JSON API: documents of the form that other programs rely on, wrapped lists, errors with a code."""

from typing import Any

import pytest
from msgspec import structs

from ar_core.acceptance import strict_level
from ar_core.acceptance.betting import DEFAULT_ALPHA
from ar_core.lifecycle import ExperimentState

API = "/api/v1"


def get(pool: Any, address: str, status: int = 200) -> Any:
    response = pool.visitor.get(API + address)
    assert response.status_code == status
    assert response.headers["content-type"] == "application/json"
    assert response.text.endswith("}\n")
    return response.json()


def test_problem_document(filled: Any) -> None:
    document = get(filled, "/problems/zlib-dictionary")
    expected = {
        "schema": "ar.problem/1", "problem": "zlib-dictionary", "direction": "minimize", "metric": "bytes",
        "state": "open", "baseline": 25240.0, "best": 5575.0, "accepted": 4, "experiments": 21, "contributors": 6,
        "revision": 1, "web": "https://pool.example/p/zlib-dictionary",
    }  # fmt: skip
    assert {key: document[key] for key in expected} == expected
    assert document["head"] == filled.repository("zlib-dictionary").head()


def test_problem_list_is_by_name_and_leaves_out_what_is_withdrawn(filled: Any, empty: Any) -> None:
    document = get(filled, "/problems")
    assert document["schema"] == "ar.problems/1"
    assert document["next"] is None
    assert [item["problem"] for item in document["items"]] == ["bin-packing", "tiny-classifier", "zlib-dictionary"]
    empty.publish("zlib-dictionary", 25240.0)
    empty.store.problems.update("zlib-dictionary", state="withdrawn")
    assert get(empty, "/problems")["items"] == []
    assert len(get(empty, "/problems?all")["items"]) == 1


def test_experiments_have_the_promised_fields_newest_first(filled: Any) -> None:
    document = get(filled, "/problems/zlib-dictionary/experiments?limit=5")
    assert document["schema"] == "ar.experiments/1"
    promised = "id problem status reason worker contributor agent note claimed verified incumbent gain pairs evidence"
    for item in document["items"]:
        assert {*promised.split(), "commit", "parent", "created"} <= set(item)
    ids = [item["id"] for item in document["items"]]
    rest = get(filled, f"/problems/zlib-dictionary/experiments?before={document['next']}")
    ids += [item["id"] for item in rest["items"]]
    assert rest["next"] is None
    assert ids == sorted(set(ids), reverse=True)
    assert len(ids) == 21


def test_experiments_by_status(filled: Any) -> None:
    items = get(filled, "/problems/zlib-dictionary/experiments?status=accepted")["items"]
    assert [item["verified"] for item in items] == [5575.0, 6240.0, 8121.0, 14002.0]
    assert {item["evidence"] for item in items} == {"exact"}


def test_records_begin_with_the_baseline_and_count_accepts(filled: Any) -> None:
    items = get(filled, "/problems/tiny-classifier/records")["items"]
    assert [item["record"] for item in items] == [0, 1, 2, 3]
    assert items[0]["experiment"] is None
    assert items[-1]["score"] == 0.8349
    low, high = items[-1]["interval"]
    assert low < 0.8349 < high


def test_an_experiment_says_how_large_its_gain_is_beside_the_noise(filled: Any) -> None:
    items = get(filled, "/problems/tiny-classifier/experiments")["items"]
    settled = [x for x in items if x["status"] in {"accepted", "rejected"}]
    assert len(settled) == 6
    assert {x["id"]: x["effect_size"] for x in settled} == {
        x["id"]: filled.read.experiment(x["id"]).effect_size for x in settled
    }
    assert None not in {x["effect_size"] for x in settled}
    others = get(filled, "/problems/zlib-dictionary/experiments")["items"]
    assert {x["effect_size"] for x in others} == {None}, "without noise there is nothing to compare a gain with"


def test_a_strict_problem_says_what_its_log_spent(empty: Any) -> None:
    name = "tiny-classifier"
    empty.publish(name, 2.2, runs=5)
    assert get(empty, f"/problems/{name}")["strict"] is None
    manifest = empty.store.problems.field(name, "manifest")
    strict = manifest.replace("[acceptance]", "[acceptance]\nstrict = true")
    empty.store.problems.update(name, manifest=strict)
    fresh = get(empty, f"/problems/{name}")["strict"]
    assert (fresh["verifications"], fresh["spent"]) == (0, 0)
    empty.store.problems.update(name, trials=12, trials_accepted=2)
    level = strict_level(DEFAULT_ALPHA, 13, 2)
    spent = sum(strict_level(DEFAULT_ALPHA, trial, 0) for trial in range(1, 13)) / DEFAULT_ALPHA
    for document in (get(empty, f"/problems/{name}"), *get(empty, "/problems")["items"]):
        assert document["strict"] == {
            "alpha": DEFAULT_ALPHA, "verifications": 12, "accepted": 2, "spent": pytest.approx(spent),
            "next_level": level, "next_evidence": 1 / level,
        }  # fmt: skip


def test_leaderboard_of_a_problem_and_of_the_pool(filled: Any) -> None:
    rows = get(filled, "/problems/zlib-dictionary/leaderboard")["rows"]
    assert [(row["rank"], row["contributor"]) for row in rows[:2]] == [(1, "bertha"), (2, "chiamaka")]
    assert sum(row["share"] for row in rows) == pytest.approx(1)
    assert len({row["rank"] for row in rows if row["accepted"] == 0}) == 1
    document = get(filled, "/leaderboard")
    assert document["problem"] is None
    assert {row["gain"] for row in document["rows"]} == {None}
    assert document["rows"][0]["contributor"] == "erin"
    assert sum(row["experiments"] for row in document["rows"]) == 28
    assert len(get(filled, "/leaderboard?limit=2")["rows"]) == 2


def test_a_leaderboard_after_another_revision(empty: Any) -> None:
    name, note = "zlib-dictionary", "Gain and share are by the scores of revision 2"
    empty.publish(name, 25240.0)
    data = b"shorter\n"
    empty.settle(empty.propose(name, data, "Shorter"), ExperimentState.ACCEPTED, score=14002.0, incumbent=25240.0)
    assert note not in empty.visitor.get(f"/p/{name}").text
    empty.store.problems.update(name, revision=2)
    (row,) = get(empty, f"/problems/{name}/leaderboard")["rows"]
    assert (row["accepted"], row["gain"], row["share"]) == (1, 11238, 1), "it has no baseline of its own"
    baseline, *_ = empty.store.problems.records(name)
    empty.store.problems.add_record(name, structs.replace(baseline, revision=2))
    (row,) = get(empty, f"/problems/{name}/leaderboard")["rows"]
    assert (row["contributor"], row["accepted"], row["gain"], row["share"]) == ("bertha", 1, 0, 0)
    (row,) = get(empty, "/leaderboard")["rows"]
    assert (row["contributor"], row["accepted"], row["gain"], row["share"]) == ("bertha", 1, None, 1)
    assert note in empty.visitor.get(f"/p/{name}").text


def test_experiment_and_pool(filled: Any) -> None:
    x = filled.read.records("zlib-dictionary")[1].experiment
    assert get(filled, f"/experiments/{x}")["commit"] == filled.read.records("zlib-dictionary")[1].commit
    pool = get(filled, "/pool")
    assert pool["schema"] == "ar.pool/1"
    assert (pool["problems"], pool["experiments"], pool["accepted"], pool["contributors"]) == (3, 28, 7, 6)
    assert (pool["queued"], pool["verifying"]) == (1, 1)


@pytest.mark.parametrize(
    ("address", "status", "code"),
    [
        ("/problems/nothing", 404, "AR-P300"),
        ("/problems/nothing/records", 404, "AR-P300"),
        ("/problems/nothing/leaderboard", 404, "AR-P300"),
        ("/experiments/x-0000000000000fff", 404, "AR-X400"),
        ("/experiments/..", 404, "AR-X400"),
        ("/problems/zlib-dictionary/experiments?status=great", 400, "AR-A101"),
        ("/problems/zlib-dictionary/experiments?limit=0", 400, "AR-A101"),
        ("/problems/zlib-dictionary/experiments?before=-3", 400, "AR-A101"),
        ("/leaderboard?by=charm", 400, "AR-A101"),
        ("/nothing", 404, "AR-A101"),
    ],
)
def test_errors_are_documents(filled: Any, address: str, status: int, code: str) -> None:
    error = get(filled, address, status)["error"]
    assert error["code"] == code
    assert error["message"]
    assert error["hint"]
