"""Every page answers, is well formed, says what it should in its order, and leads nowhere but to this pool."""

import html
import re
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any

import pytest

from ar_core.acceptance import strict_level
from ar_core.acceptance.betting import DEFAULT_ALPHA as ALPHA

PAGES = [
    "/",
    "/contributors",
    "/contributors?by=recent",
    "/p/zlib-dictionary",
    "/p/tiny-classifier",
    "/p/bin-packing",
    "/p/zlib-dictionary/experiments",
    "/p/zlib-dictionary/experiments?status=recorded&limit=3",
    "/p/bin-packing/experiments",
    "/p/zlib-dictionary/0",
    "/p/zlib-dictionary/4",
    "/p/tiny-classifier/2",
]
VOID = {"meta", "link", "br", "img", "source", "hr", "input"}


class Outline(HTMLParser):
    """Checks that tags balance, and collects what a page refers to."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.references: list[str] = []
        self.attributes: set[str] = set()
        self.headings: list[str] = []
        self.ids: list[str] = []
        self.tables = self.captions = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.attributes |= set(values)
        self.references += [values[n] or "" for n in ("href", "src", "srcset") if n in values]
        self.ids += [values["id"] or ""] if "id" in values else []
        self.tables += tag == "table"
        self.captions += tag == "caption"
        if re.fullmatch(r"h[1-6]", tag):
            self.headings.append(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag


def outline(text: str) -> Outline:
    found = Outline()
    found.feed(text)
    found.close()
    assert found.open == []
    return found


@pytest.mark.parametrize("address", PAGES)
def test_page_is_well_formed_and_accessible(filled: Any, address: str) -> None:
    response = filled.visitor.get(address)
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    page = outline(response.text)
    assert page.headings[0] == "h1"
    assert page.headings.count("h1") == 1
    assert all(int(after[1]) - int(before[1]) <= 1 for before, after in pairwise(page.headings))
    assert len(page.ids) == len(set(page.ids))
    assert page.tables == page.captions
    assert '<a class="skip" href="#main">' in response.text
    assert '<main id="main">' in response.text


@pytest.mark.parametrize("address", PAGES)
def test_page_refers_to_this_pool_only_and_runs_nothing(filled: Any, address: str) -> None:
    text = filled.visitor.get(address).text
    page = outline(text)
    assert all(reference.startswith(("/", "#")) and not reference.startswith("//") for reference in page.references)
    assert "<script" not in text
    assert not {name for name in page.attributes if name.startswith("on")} | (page.attributes & {"style"})


def test_every_link_of_every_page_leads_somewhere(filled: Any) -> None:
    seen = {reference for address in PAGES for reference in outline(filled.visitor.get(address).text).references}
    for reference in sorted(reference.partition("#")[0] for reference in seen):
        if reference.startswith("/"):
            assert filled.visitor.get(reference).status_code == 200, reference


def test_problem_page_tells_its_story_in_order(filled: Any) -> None:
    text = filled.visitor.get("/p/zlib-dictionary").text
    story = [
        "25240 → 5575 B", "−77.9 %", "4 accepted of 21", 'src="/p/zlib-dictionary/progress.svg', "Records",
        "Share prefixes between kinds of message", "Start with the 40 most frequent words", "The goal",
        "A shop sends many short JSON messages", "The rules", "10s for the scorer", "Registration",
        "The file has no tunable places.", "Use it, and check it", "ar-pool best zlib-dictionary -o dictionary.txt",
        "git clone https://pool.example/git/zlib-dictionary.git", "refs/ar/ledger", "allowed_signers",
        "Latest experiments", "not_reproduced", "two runs gave 6241 twice",
    ]  # fmt: skip
    places = [text.find(part) for part in story]
    assert -1 not in places, story[places.index(-1)]
    assert places == sorted(places)


def test_scores_have_units_in_the_header_and_uncertainty_beside_them(filled: Any) -> None:
    text = filled.visitor.get("/p/tiny-classifier").text
    assert "Score (bit)" in text
    assert re.search(r"<strong>0\.8349</strong>\s*<span class=\"aside\">± 0\.0412", text)
    assert "e = 214" in text
    assert '<time datetime="2026-03-0' in text


def test_a_gain_has_its_effect_size_beside_it_where_there_is_one(filled: Any) -> None:
    accepted = filled.read.records("tiny-classifier")[-1].experiment
    x = filled.read.experiment(accepted)
    size = f"{x.effect_size:.3g}"
    text = filled.visitor.get(f"/p/tiny-classifier/x/{accepted}").text
    assert f"e = 214, effect size {size}</span>" in text
    assert f"<dt>Effect size</dt><dd>{size}: the mean gain of the pairs that decided, in standard deviations" in text
    listed = filled.visitor.get("/p/tiny-classifier/experiments").text
    shown = re.findall(r'<span class="aside">effect size (\S+)</span>', listed)
    assert len(shown) == 6, "of what was rejected too, not of what waits"
    assert size in shown
    exact = filled.visitor.get("/p/zlib-dictionary/4").text
    assert "<dt>Effect size</dt><dd>–</dd>" in exact
    assert "effect size" not in exact + filled.visitor.get("/p/zlib-dictionary/experiments").text


def test_a_strict_problem_says_what_its_log_spent(empty: Any) -> None:
    name = "tiny-classifier"
    empty.publish(name, 2.2, runs=5)
    plain = empty.visitor.get(f"/p/{name}").text
    assert "<dt>Strict</dt>" not in plain
    assert "accepted at evidence e ≥ 200 (α = 0.005 for each candidate)</dd>" in plain
    manifest = empty.store.problems.field(name, "manifest")
    strict = manifest.replace("[acceptance]", "[acceptance]\nstrict = true")
    empty.store.problems.update(name, manifest=strict, trials=12, trials_accepted=2)
    spent = sum(strict_level(ALPHA, trial, 0) for trial in range(1, 13)) / ALPHA
    level = strict_level(ALPHA, 13, 2)
    text = html.unescape(empty.visitor.get(f"/p/{name}").text)
    outline(text)
    assert (
        f"<dt>Strict</dt><dd>the whole log shares one budget of false accepts: 12 verifications have spent "
        f"{100 * spent:.3g} % of the α = 0.005 that all share; the next gets the level {level:.3g} "
        f"(3 times its share, earned back by 2 accepts), which takes evidence e ≥ {1 / level:,.0f}</dd>"
    ) in text
    assert "accepted at the evidence that the strict rule asks for</dd>" in text
    assert "for each candidate" not in text
    empty.store.problems.update(name, trials=13, trials_accepted=3)
    assert "4 times its share" in empty.visitor.get(f"/p/{name}").text
    empty.store.problems.update(name, manifest="not = a manifest")
    assert empty.visitor.get(f"/p/{name}").status_code == 200


def window(visitor: Any, name: str) -> str | None:
    """Read what a problem's page says of its window."""
    text = html.unescape(visitor.get(f"/p/{name}").text)
    outline(text)
    found = re.search(r"<dt>Window</dt><dd>([^<]*)</dd>", text)
    return " ".join(found[1].split()) if found else None


def test_a_problem_with_noise_of_seeds_says_what_its_scores_are_cut_to(empty: Any) -> None:
    said = ": every claim is about scores cut to the window. "
    said += "Before a commit, whole bad scores must not outweigh the gain"
    derived = ", from the best version's published score and its spread, anew at each accept"
    name = "tiny-classifier"
    empty.publish(name, 2.2, runs=5)
    assert window(empty.visitor, name) == f"1.4 to 3 bit{derived}{said}"
    empty.store.problems.update(name, best_sd=0.2)
    assert window(empty.visitor, name) == f"1 to 3.4 bit{derived}{said}"
    # What hidden files scored is told in steps, outwards.
    empty.store.problems.update(name, step=0.25)
    assert window(empty.visitor, name) == f"1 to 3.5 bit{derived}{said}"
    empty.store.problems.update(name, best=-1.0)
    waiting = "around the best version's published score, once there is one"
    assert window(empty.visitor, name) == waiting + said
    manifest = empty.store.problems.field(name, "manifest")
    own = manifest.replace("[acceptance]", "[acceptance]\nwindow = [0.55, 3.0]")
    empty.store.problems.update(name, manifest=own)
    assert window(empty.visitor, name) == f"0.55 to 3 bit{said}"
    empty.publish("zlib-dictionary", 25240.0)
    assert window(empty.visitor, "zlib-dictionary") is None


def test_verdict_is_a_word_and_an_icon(filled: Any) -> None:
    text = filled.visitor.get("/p/zlib-dictionary/experiments").text
    assert '<span class="verdict accepted"><span aria-hidden="true">✓</span> accepted</span>' in text
    assert '<span class="verdict rejected"><span aria-hidden="true">✗</span> rejected</span>' in text


def test_paused_problem_says_why(filled: Any) -> None:
    text = filled.visitor.get("/p/bin-packing").text
    assert "paused" in text
    assert "The baseline did not repeat its score" in text


def test_record_and_experiment_are_one_page(filled: Any) -> None:
    by_number = filled.visitor.get("/p/zlib-dictionary/4")
    x = filled.read.records("zlib-dictionary")[-1].experiment
    assert by_number.text == filled.visitor.get(f"/p/zlib-dictionary/x/{x}").text
    assert "Share prefixes between kinds of message" in by_number.text
    assert 'class="removed">- Most used templates go to the end' in by_number.text
    assert 'class="added">+ 5575.0' in by_number.text
    assert "ar-pool diff zlib-dictionary 4" in by_number.text


def test_experiments_page_by_page_shows_each_once(filled: Any) -> None:
    seen: list[str] = []
    address = "/p/zlib-dictionary/experiments?limit=8"
    while address:
        text = filled.visitor.get(address).text
        seen += re.findall(r'href="/p/zlib-dictionary/x/(x-[0-9a-f]{16})"', text)
        more = re.search(r'experiments\?before=(\d+)"', text)
        address = f"/p/zlib-dictionary/experiments?limit=8&before={more[1]}" if more else ""
    assert len(seen) == len(set(seen)) == 21
    assert seen == sorted(seen, reverse=True)


def test_empty_pool_shows_the_next_command(empty: Any) -> None:
    text = empty.visitor.get("/").text
    outline(text)
    assert "ar-pool publish DIR" in text
    assert "ar-pool login pool.example:7443 --token T" in text
    assert "ar-pool propose NAME --file FILE" in empty.visitor.get("/contributors").text


def test_problem_under_registration_has_a_page(empty: Any) -> None:
    empty.publish("zlib-dictionary", 25240.0)
    empty.store.connection.text.delete("ar:records:zlib-dictionary")
    empty.store.connection.text.hdel("ar:problem:zlib-dictionary", "baseline", "best", "head", "manifest", "program")
    empty.store.problems.update("zlib-dictionary", state="registering")
    for address in ("/p/zlib-dictionary", "/p/zlib-dictionary/progress.svg", "/p/zlib-dictionary/atom.xml", "/"):
        assert empty.visitor.get(address).status_code == 200
    text = empty.visitor.get("/p/zlib-dictionary").text
    outline(text)
    assert "the pool is registering the problem" in text


@pytest.mark.parametrize(
    "address", ["/nothing", "/p/", "/p/nothing", "/p/zlib-dictionary/99", "/p/zlib-dictionary/x/x-0"]
)
def test_unknown_address_says_where_to_go(filled: Any, address: str) -> None:
    response = filled.visitor.get(address)
    assert response.status_code == 404
    outline(response.text)
    assert 'href="/"' in response.text
    assert re.search(r"AR-[APX]\d{3}", response.text)


def test_experiment_of_another_problem_is_not_found(filled: Any) -> None:
    x = filled.read.records("zlib-dictionary")[1].experiment
    assert filled.visitor.get(f"/p/tiny-classifier/x/{x}").status_code == 404
