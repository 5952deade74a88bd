"""What strangers wrote does nothing on a page, and what must stay unseen does (threats 30, 47, 53, 54, 60, 61)."""

import unicodedata
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ar_core.lifecycle import ExperimentState

ADDRESSES = [
    "/", "/contributors", "/p/zlib-dictionary", "/p/zlib-dictionary/experiments", "/p/zlib-dictionary/progress.svg",
    "/p/zlib-dictionary/atom.xml", "/healthz", "/metrics", "/allowed_signers", "/static/style.css",
    "/api/v1/problems", "/api/v1/problems/zlib-dictionary/experiments", "/nothing", "/api/v1/nothing", "/p/no-such",
    "/git/zlib-dictionary.git/info/refs", "/p/zlib-dictionary?limit=x", "/p/zlib-dictionary/experiments?limit=x",
]  # fmt: skip


@pytest.mark.parametrize("address", ADDRESSES)
def test_every_answer_carries_the_safety_headers(filled: Any, address: str) -> None:
    headers = filled.visitor.get(address).headers
    policy = headers["content-security-policy"]
    for part in ("default-src 'none'", "form-action 'none'", "base-uri 'none'", "frame-ancestors 'none'"):
        assert part in policy
    assert "script-src" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert "set-cookie" not in headers


def hostile_experiment(filled: Any) -> Any:
    found, _ = filled.read.experiments("zlib-dictionary", ExperimentState.REJECTED)
    return next(x for x in found if "<script>" in x.note)


def test_hostile_text_is_escaped_and_stripped_on_every_page(filled: Any) -> None:
    x = hostile_experiment(filled)
    problem = [
        f"/p/zlib-dictionary{rest}" for rest in ("", "/experiments", f"/x/{x.id}", "/atom.xml", "/progress.svg")
    ]
    for address in ["/", "/contributors", *problem]:
        text = filled.visitor.get(address).text
        assert "<script" not in text
        assert "&amp;amp;" in text or "progress" in address or "atom" in address
        bad = {c for c in text if unicodedata.category(c) in {"Cc", "Cf", "Cs"}} - {"\n", "\t"}
        assert not bad, (address, bad)


def test_json_has_no_character_that_disturbs_a_terminal(filled: Any) -> None:
    x = hostile_experiment(filled)
    response = filled.visitor.get(f"/api/v1/experiments/{x.id}")
    assert response.content.isascii()
    assert b"\x1b" not in response.content
    assert response.json()["note"] == x.note


def test_bytes_of_a_claim_are_shown_to_nobody_before_its_verdict(filled: Any, secret: bytes) -> None:
    found, _ = filled.read.experiments("zlib-dictionary")
    concerned = [x for x in found if x.note.startswith("Reorder by position")]
    assert {x.state.value for x in concerned} == {"queued", "recorded"}
    for x in concerned:
        assert filled.read.content(x) is None
        page = filled.visitor.get(f"/p/zlib-dictionary/x/{x.id}")
        assert page.status_code == 200
        assert secret.decode() not in page.text


@pytest.mark.parametrize("state", [ExperimentState.HELD, ExperimentState.QUEUED, ExperimentState.WITHDRAWN])
def test_content_follows_the_verdict(filled: Any, state: ExperimentState) -> None:
    accepted = filled.read.experiment(filled.read.records("zlib-dictionary")[1].experiment)
    assert filled.read.content(accepted) is not None
    assert filled.read.content(replace(accepted, state=state)) is None


def test_hidden_files_are_nowhere(filled: Any) -> None:
    problem = filled.read.manifest("zlib-dictionary")
    assert problem.files.hidden
    tree = filled.repository("zlib-dictionary").read_tree(filled.read.existing("zlib-dictionary").head)
    assert not [path for path in tree if problem.is_hidden(path)]


@pytest.mark.parametrize("name", [
    "..", "%2e%2e", "..%2f..%2fetc%2fpasswd", "zlib-dictionary%00", "zlib-dictionary%0a", "ZLIB-DICTIONARY",
    "zlib-dictionary:next", "a", "x" * 200, "%ff%fe", "zlib-dictionary%2f..",
])  # fmt: skip
def test_names_cannot_leave_their_place(filled: Any, name: str) -> None:
    places = ["/p/{}", "/p/{}/progress.svg", "/p/{}/x/{}", "/p/zlib-dictionary/{}", "/api/v1/problems/{}",
              "/api/v1/experiments/{}", "/git/{}.git/info/refs?service=git-upload-pack", "/static/{}"]  # fmt: skip
    for address in (place.replace("{}", name) for place in places):
        assert filled.visitor.get(address).status_code == 404, address


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_nothing_can_be_changed(filled: Any, method: str) -> None:
    for address in ("/", "/p/zlib-dictionary", "/api/v1/problems"):
        response = filled.visitor.get(address, method=method)
        assert response.status_code == 405
        assert response.headers["allow"] == "GET, HEAD"


def test_failure_inside_gives_nothing_away(empty: Any) -> None:
    empty.publish("zlib-dictionary", 25240.0)
    empty.store.problems.update("zlib-dictionary", baseline="Traceback: not a number")
    for address in ("/p/zlib-dictionary", "/api/v1/problems/zlib-dictionary"):
        response = empty.visitor.get(address)
        assert response.status_code == 500
        assert "AR-A100" in response.text
        assert "not a number" not in response.text
        assert "content-security-policy" in response.headers


def test_pages_say_so_while_redis_is_away(unreachable: Any) -> None:
    page = unreachable.get("/")
    assert page.status_code == 503
    assert "AR-C609" in page.text
    health = unreachable.get("/healthz")
    assert health.status_code == 503
    assert health.json()["error"]["code"] == "AR-C609"


segment = st.one_of(
    st.sampled_from([
        "p", "x", "api", "v1", "problems", "experiments", "records", "leaderboard", "contributors", "zlib-dictionary",
        "bin-packing", "progress.svg", "atom.xml", "git", "static", "0", "1", "9" * 30, "..", "healthz", "style.css",
    ]),
    st.text(max_size=12),
    st.from_regex(r"x-[0-9a-f]{16}", fullmatch=True),
)  # fmt: skip
query = st.lists(
    st.tuples(
        st.sampled_from(["status", "limit", "before", "by", "view", "all", "service"]),
        st.one_of(
            st.sampled_from(["accepted", "recorded", "gain", "recent", "1", "0", "-1", "9" * 40, "²", "narrow"]),
            st.text(max_size=8),
        ),
    ),
    max_size=3,
)  # fmt: skip


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(segments=st.lists(segment, max_size=6), parameters=query)
@example(segments=["p", "p", ""], parameters=[])
def test_no_address_breaks_a_page(filled: Any, segments: list[str], parameters: list[tuple[str, str]]) -> None:
    def safe(text: str) -> str:
        return quote(text.encode("utf-8", errors="replace"), safe="")

    address = "/" + "/".join(map(safe, segments))
    address += "?" + "&".join(f"{safe(name)}={safe(value)}" for name, value in parameters)
    response = filled.visitor.get(address)
    assert response.status_code in {200, 307, 400, 403, 404, 405}, address
    if response.status_code == 307:
        assert address.partition("?")[0].endswith("/"), "only the slash too many is taken away"
    assert "content-security-policy" in response.headers
