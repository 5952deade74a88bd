"""What is not a page: chart, feed, metrics, health, signers, entity tags, and git beside them."""

import subprocess
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

ATOM = "{http://www.w3.org/2005/Atom}"
PROBLEMS = ["zlib-dictionary", "tiny-classifier", "bin-packing"]


@pytest.mark.parametrize("name", PROBLEMS)
@pytest.mark.parametrize("view", ["", "?view=wide", "?view=narrow"])
def test_chart_is_well_formed(filled: Any, name: str, view: str) -> None:
    response = filled.visitor.get(f"/p/{name}/progress.svg{view}")
    assert response.status_code == 200
    assert response.headers["content-type"] == "image/svg+xml"
    assert ElementTree.fromstring(response.content).tag == "{http://www.w3.org/2000/svg}svg"
    if not view and name == "zlib-dictionary":
        assert "25240 → 5575 B, −77.9 %, 4 accepted of 21" in response.text


@pytest.mark.parametrize("name", PROBLEMS)
def test_feed_is_atom(filled: Any, name: str) -> None:
    response = filled.visitor.get(f"/p/{name}/atom.xml")
    assert response.headers["content-type"].startswith("application/atom+xml")
    feed = ElementTree.fromstring(response.content)
    assert feed.tag == f"{ATOM}feed"
    entries = feed.findall(f"{ATOM}entry")
    assert len(entries) == len(filled.read.records(name))
    times = [entry.findtext(f"{ATOM}updated", "") for entry in entries]
    assert times == sorted(times, reverse=True)
    assert feed.findtext(f"{ATOM}updated") == times[0]
    for entry in entries:
        assert {f"{ATOM}id", f"{ATOM}title", f"{ATOM}updated", f"{ATOM}author"} <= {child.tag for child in entry}
    assert len({entry.findtext(f"{ATOM}id") for entry in entries}) == len(entries)


@pytest.mark.parametrize("address", ["/", "/p/zlib-dictionary", "/p/bin-packing/progress.svg", "/api/v1/problems"])
def test_unchanged_page_is_not_sent_again(filled: Any, address: str) -> None:
    first = filled.visitor.get(address)
    tag = first.headers["etag"]
    again = filled.visitor.get(address, if_none_match=f'"other", W/{tag}')
    assert again.status_code == 304
    assert again.content == b""
    assert again.headers["etag"] == tag
    assert "content-security-policy" in again.headers
    assert filled.visitor.get(address, if_none_match='"other"').status_code == 200


def test_tag_changes_with_the_page(empty: Any) -> None:
    before = empty.visitor.get("/").headers["etag"]
    empty.publish("zlib-dictionary", 25240.0)
    assert empty.visitor.get("/", if_none_match=before).status_code == 200


def test_metrics_count_by_state(filled: Any) -> None:
    response = filled.visitor.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = response.text.splitlines()
    assert 'ar_experiments{problem="zlib-dictionary",state="accepted"} 4' in lines
    assert 'ar_experiments{problem="zlib-dictionary",state="queued"} 1' in lines
    assert 'ar_problems{state="open"} 2' in lines
    assert 'ar_problems{state="paused"} 1' in lines
    assert "ar_queue_length 1" in lines
    assert "ar_verifying 1" in lines
    samples = [line for line in lines if not line.startswith("#")]
    assert len(samples) == len({line.rpartition(" ")[0] for line in samples})
    for line in samples:
        float(line.rpartition(" ")[2])


def test_health_and_signers(filled: Any) -> None:
    assert filled.visitor.get("/healthz").json()["ok"] is True
    assert filled.visitor.get("/allowed_signers").text.startswith("pool@pool.invalid ")


def test_head_is_answered_like_get(filled: Any) -> None:
    response = filled.visitor.get("/p/zlib-dictionary", method="HEAD")
    assert response.status_code == 200
    assert response.headers["etag"] == filled.visitor.get("/p/zlib-dictionary").headers["etag"]


def test_git_is_served_beside_the_pages(filled: Any) -> None:
    response = filled.visitor.get("/git/zlib-dictionary.git/info/refs?service=git-upload-pack")
    assert response.status_code == 200
    assert filled.read.existing("zlib-dictionary").head.encode() in response.content


def test_the_page_s_command_verifies_a_clone(filled: Any, tmp_path: Path) -> None:
    """The commands that the problem page offers, with the repository's path in place of the address."""
    clone = tmp_path / "clone"
    git = ["git", "-c", "safe.directory=*"]
    subprocess.run([*git, "clone", "-q", str(filled.path("zlib-dictionary")), str(clone)], check=True)
    (clone / "allowed_signers").write_text(filled.visitor.get("/allowed_signers").text)
    command = [*git, "-c", "gpg.ssh.allowedSignersFile=allowed_signers", "verify-commit", "HEAD"]
    assert subprocess.run(command, cwd=clone, capture_output=True, check=False).returncode == 0
