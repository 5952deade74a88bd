"""``program.md`` as prose: headings, paragraphs, lists and code of a stranger's Markdown, and nothing else of it.

Not here: links, pictures and HTML, which stay the plain text that they were written as.
"""

import re
from collections.abc import Iterator

from markupsafe import Markup, escape

from ar_coordinator.web.figures import block

_HEADING = re.compile(r"(#{1,6})\s+(.*)")
_ITEM = re.compile(r"\s{0,3}([-*+]|\d{1,9}[.)])\s+(.*)")
_FENCE = re.compile(r"\s{0,3}(```|~~~)")
# Code first: stars inside it are not emphasis. Bounded, so that no text makes the search slow.
_INLINE = re.compile(r"`([^`]{1,300})`|\*\*([^*\s][^*]{0,300})\*\*|\*([^*\s][^*]{0,300})\*")
_TAGS = ("code", "strong", "em")
_DEEPEST = 6


def prose(text: str, level: int = 2) -> Markup:
    """Return the text as safe HTML whose headings come below a heading of ``level`` and never skip one."""
    lines = block(text).split("\n")
    return Markup("\n").join(_blocks(lines, level))


def _blocks(lines: list[str], level: int) -> Iterator[Markup]:
    at, above = 0, level
    while at < len(lines):
        line = lines[at]
        heading = _HEADING.fullmatch(line)
        if not line.strip():
            at += 1
        elif _FENCE.match(line):
            end = next((i for i in range(at + 1, len(lines)) if _FENCE.match(lines[i])), len(lines))
            yield Markup('<pre tabindex="0"><code>{}</code></pre>').format("\n".join(lines[at + 1 : end]))
            at = end + 1
        elif heading:
            above = min(level + len(heading[1]), above + 1, _DEEPEST)
            yield Markup("<h{}>{}</h{}>").format(above, _inline(heading[2]), above)
            at += 1
        elif _ITEM.match(line):
            at, items, ordered = _items(lines, at)
            tag = "ol" if ordered else "ul"
            yield Markup("<{}>{}</{}>").format(tag, Markup("").join(map(_list_item, items)), tag)
        else:
            end = _paragraph_end(lines, at)
            yield Markup("<p>{}</p>").format(_inline(" ".join(part.strip() for part in lines[at:end])))
            at = end


def _items(lines: list[str], at: int) -> tuple[int, list[str], bool]:
    """Return where the list ends, its items, and whether they are numbered."""
    items: list[str] = []
    ordered = False
    while at < len(lines) and lines[at].strip():
        item = _ITEM.match(lines[at])
        if item:
            ordered = ordered or item[1][0].isdigit()
            items.append(item[2])
        elif _HEADING.fullmatch(lines[at]) or _FENCE.match(lines[at]):
            break
        else:
            items[-1] += f" {lines[at].strip()}"
        at += 1
    return at, items, ordered


def _paragraph_end(lines: list[str], at: int) -> int:
    end = at + 1
    while end < len(lines) and lines[end].strip():
        if _HEADING.fullmatch(lines[end]) or _FENCE.match(lines[end]) or _ITEM.match(lines[end]):
            break
        end += 1
    return end


def _list_item(text: str) -> Markup:
    return Markup("<li>{}</li>").format(_inline(text))


def _inline(text: str) -> Markup:
    parts: list[Markup] = []
    done = 0
    for match in _INLINE.finditer(text):
        group = match.lastindex or 1
        tag = _TAGS[group - 1]
        parts.append(escape(text[done : match.start()]))
        parts.append(Markup("<{}>{}</{}>").format(tag, match[group], tag))
        done = match.end()
    return Markup("").join([*parts, escape(text[done:])])
