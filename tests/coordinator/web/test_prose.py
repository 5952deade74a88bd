"""A stranger's Markdown becomes prose, and can become nothing else."""

import re
from html import unescape
from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from ar_coordinator.web.prose import prose

ALLOWED = {"h3", "h4", "h5", "h6", "p", "ul", "ol", "li", "pre", "code", "strong", "em"}


class Checker(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in ALLOWED
        assert attrs in ([], [("tabindex", "0")])
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def check(html: str) -> None:
    checker = Checker()
    checker.feed(html)
    checker.close()
    assert checker.open == []


def test_what_it_knows() -> None:
    text = (
        "# Title\n\nMake `x*y` **small**, *now*\nplease.\n\n- one\n  more\n- two\n\n1. first\n\n```\n<b> *raw*\n```\n"
    )
    assert prose(text).split("\n") == [
        "<h3>Title</h3>",
        "<p>Make <code>x*y</code> <strong>small</strong>, <em>now</em> please.</p>",
        "<ul><li>one more</li><li>two</li></ul>",
        "<ol><li>first</li></ol>",
        '<pre tabindex="0"><code>&lt;b&gt; *raw*</code></pre>',
    ]


def test_links_pictures_and_html_stay_text() -> None:
    html = prose("[click](javascript:alert(1)) ![x](https://elsewhere.example/x.png) <img src=x onerror=alert(1)>")
    check(html)
    assert "<img" not in html
    assert "<a" not in html
    assert "[click](javascript:alert(1))" in html


def test_headings_never_skip_a_level() -> None:
    assert re.findall(r"<h(\d)>", prose("### a\n##### b\n# c\n###### d\n#### e")) == ["3", "4", "3", "4", "5"]


marks = st.text(alphabet=st.sampled_from(list("ab <>&\"'`*_#-+1.)~[]()!\n\t\\\x1b\u202e")), max_size=120)


@given(text=st.one_of(marks, st.text(max_size=80)))
def test_any_text_is_balanced_and_keeps_its_letters(text: str) -> None:
    html = prose(text)
    check(html)
    kept = re.sub(r"[^ab]", "", text)
    shown = re.sub(r"[^ab]", "", unescape(re.sub(r"<[^>]*>", "", html)))
    # The word after the marks of a code block is its language, which is not shown.
    assert shown == kept or "```" in text or "~~~" in text
