"""The progress chart: well-formed and safe whatever it is given, and true to what it shows."""

import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ar_core.chart import RecordPoint, TriedPoint, headline, progress_svg
from ar_core.chart.labels import Anchor, Box, place, text_width
from ar_core.chart.points import thinned
from ar_core.chart.scale import round_ticks, value_range
from ar_core.metric import Direction

UP, DOWN = Direction.MAXIMIZE, Direction.MINIMIZE
SVG = "{http://www.w3.org/2000/svg}"

numbers = st.floats() | st.floats(-10, 10) | st.integers(-1000, 1000).map(float)
indexes = st.integers(0, 5000) | st.integers()
tried_points = st.builds(TriedPoint, index=indexes, value=numbers)
record_points = st.builds(
    RecordPoint,
    index=indexes,
    value=numbers,
    low=st.none() | numbers,
    high=st.none() | numbers,
    label=st.text(max_size=60),
)


def tried(values: Sequence[float], first: int = 1) -> list[TriedPoint]:
    return [TriedPoint(index=first + i, value=value) for i, value in enumerate(values)]


def kept(*values: float, label: str = "") -> list[RecordPoint]:
    return [
        RecordPoint(index=10 * i, value=v, low=v - 0.01, high=v + 0.01, label=label and f"{label} {i}")
        for i, v in enumerate(values)
    ]


def path_of(svg: str, mark: str) -> str:
    paths = [e for e in ET.fromstring(svg).iter(f"{SVG}path") if e.get("class") == mark and e.get("stroke-linejoin")]
    return paths[-1].get("d", "") if paths else ""


def dots_of(svg: str) -> int:
    return sum((e.get("d") or "").count("h0") for e in ET.fromstring(svg).iter(f"{SVG}path")) - svg.count("M6 0h0")


def texts_of(svg: str) -> list[str]:
    return [element.text or "" for element in ET.fromstring(svg).iter(f"{SVG}text")]


def label_texts(svg: str) -> list[str]:
    group = [g for g in ET.fromstring(svg).iter(f"{SVG}g") if g.get("class") == "label"]
    return [element.text or "" for g in group for element in g]


@given(
    st.lists(tried_points, max_size=30),
    st.lists(record_points, max_size=12),
    st.sampled_from(Direction),
    st.text(max_size=20),
    st.integers(-3, 20),
    st.none() | numbers,
    st.text(max_size=150),
    st.lists(indexes, max_size=3),
)
@example([], [], DOWN, "", 6, None, "", [])
@example(tried([1e308, -1e308, 5e-324]), kept(0.0, 5e-324), UP, "", 6, 1e308, "", [2**60])
@example(tried([1e16 + 2, 1e16 + 4]), kept(1e16), DOWN, "", 0, 1e16, "", [])
@example([TriedPoint(index=-(2**70), value=1.0)], [RecordPoint(index=2**52, value=1.0)], UP, "", 2, None, "", [])
def test_anything_gives_well_formed_xml_without_active_content(
    points: list[TriedPoint],
    records: list[RecordPoint],
    direction: Direction,
    unit: str,
    decimals: int,
    best_known: float | None,
    title: str,
    revisions: list[int],
) -> None:
    svg = progress_svg(
        points,
        records,
        direction=direction,
        unit=unit,
        decimals=decimals,
        best_known=best_known,
        title=title,
        revisions=revisions,
    )
    root = ET.fromstring(svg)
    assert root.get("role") == "img"
    assert [child.tag for child in list(root)[:2]] == [f"{SVG}title", f"{SVG}desc"]
    allowed = {f"{SVG}{tag}" for tag in ("svg", "title", "desc", "style", "rect", "g", "path", "circle", "text")}
    for element in root.iter():
        assert element.tag in allowed
        assert not any("href" in name or name.startswith("on") or name == "id" for name in element.attrib)
    coordinates = [n for e in root.iter() for n in re.findall(r"-?[\d.]+|nan|inf", e.get("d") or "")]
    assert all(-10 <= float(n) <= 970 for n in coordinates)


@pytest.mark.parametrize(
    "text", ["</text><script>alert(1)</script>\"'&", "a\u202eb\u0007c\u200bd\x00e\ufffef\ud800g\nh", "]]>&lt;<!--"]
)
def test_strangers_text_is_escaped_and_stripped(text: str) -> None:
    records = [RecordPoint(index=0, value=1.0), RecordPoint(index=50, value=0.5, label=text)]
    svg = progress_svg([], records, direction=DOWN, title=text, unit=text)
    svg.encode()
    assert "<script" not in svg
    assert "<!--" not in svg
    assert not re.search("[\u202a-\u202e\u2066-\u2069\u200b\x00-\x1f\ufffe\ud800]", svg)
    shown = " ".join(texts_of(svg))
    if text.startswith("a"):
        assert "abcdefg h" in shown
    if text.startswith("<"):
        assert "<script>alert(1)" in shown


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=30), st.sampled_from(Direction))
def test_the_staircase_only_goes_the_better_way(values: list[float], direction: Direction) -> None:
    svg = progress_svg([], kept(*values), direction=direction)
    line = path_of(svg, "best")
    rights = [float(x) for x in re.findall(r"H([\d.]+)", line)]
    heights = [float(y) for y in re.findall(r"(?:^M[\d.]+ |V)([\d.]+)", line)]
    assert rights == sorted(rights)
    # Lower on the screen is a greater y.
    assert heights == sorted(heights, reverse=direction is UP)


def test_what_was_tried_in_vain_and_has_no_score_is_on_the_picture_too() -> None:
    """Of a candidate that lost beside hidden files nobody is told the score."""
    svg = progress_svg(tried([0.9] * 3), kept(1.0, 0.8), direction=DOWN, tried=50)
    last = [float(x) for x in re.findall(r"H([\d.]+)", path_of(svg, "best"))][-1]
    assert "50" in texts_of(svg)
    assert last > 940 - 20
    band = re.search(r'<path class="band" d="([^"]+)"', svg)
    assert band is not None
    assert f"H{last:g}V" in band.group(1)
    progress_svg(tried([0.9]), kept(1.0), direction=DOWN, tried=10**30)


def test_the_headline_is_the_one_people_know() -> None:
    line = headline(0.8466, 0.7011, accepted=41, tried=3902)
    assert line == "0.8466 → 0.7011, −17.2 %, 41 accepted of 3,902"
    svg = progress_svg(
        tried([0.9] * 20), kept(0.8466, 0.8, 0.7011), direction=DOWN, decimals=4, unit="bpb", tried=3902
    )
    heading = "0.8466 → 0.7011 bpb, −17.2 %, 2 accepted of 3,902"
    assert heading in texts_of(svg)
    assert f"<title>{heading}</title>" in svg


@pytest.mark.parametrize(
    ("first", "best", "expected"),
    [
        (None, None, "Nothing tried yet"),
        (25013.0, 25013.0, "25,013, nothing tried yet"),
        (25013.0, 23801.0, "25,013 → 23,801, −4.8 %, nothing tried yet"),
        (2.1, 2.410273258, "2.1000 → 2.4103, +14.8 %, nothing tried yet"),
        (0.0, 0.5, "0.0000 → 0.5000, nothing tried yet"),
        (-2.0, -1.0, "−2.000 → −1.000, +50.0 %, nothing tried yet"),
        (1.0, 1.00002, "1.000000 → 1.000020, +0.002 %, nothing tried yet"),
        (1e-9, 1e9, "0 → 1,000,000,000, nothing tried yet"),
    ],
)
def test_headlines_at_the_edges(first: float | None, best: float | None, expected: str) -> None:
    assert headline(first, best, accepted=0, tried=0) == expected


def test_a_record_that_measures_worse_than_its_predecessor_is_shown_but_does_not_lower_the_line() -> None:
    svg = progress_svg([], kept(1.0, 0.5, 0.6), direction=DOWN)
    assert svg.count("<circle") == 3 + 1
    assert "1.0000 → 0.5000" in svg
    assert path_of(svg, "best").count("V") == 1


def test_one_crash_like_score_does_not_flatten_the_staircase_and_is_counted() -> None:
    values = [1.0 + 0.01 * (i % 7) for i in range(200)]
    calm = value_range(values, kept(1.0, 0.9, 0.8), DOWN, None, room=True)
    wild = value_range([*values, 1e9, -1e9], kept(1.0, 0.9, 0.8), DOWN, None, room=True)
    assert wild[1] - wild[0] < 1.6 * (calm[1] - calm[0])
    svg = progress_svg(tried([*values, 1e9, -1e9]), kept(1.0, 0.9, 0.8), direction=DOWN)
    assert "2 tried off the scale" in texts_of(svg)


@given(
    st.lists(st.floats(-1e6, 1e6), max_size=30),
    st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=10),
    st.sampled_from(Direction),
    st.none() | st.floats(-1e6, 1e6),
)
def test_every_record_is_inside_the_range(
    others: list[float], values: list[float], direction: Direction, known: float | None
) -> None:
    low, high = value_range(others, kept(*values), direction, known, room=True)
    assert all(low < value < high for value in values)


def test_the_output_is_bounded() -> None:
    points = tried([1.0 + (i * 7919 % 1000) / 1000 for i in range(50_000)])
    records = [RecordPoint(index=i, value=1 - i / 1e4, label=f"step {i}") for i in range(3000)]
    svg = progress_svg(points, records, direction=DOWN)
    assert 1000 < dots_of(svg) <= 2000
    assert svg.count("<circle") <= 401
    assert len(svg) < 200_000
    assert "2,999 accepted of 50,000" in svg


@given(st.integers(0, 50), st.integers(2, 20))
def test_thinning_keeps_the_ends(count: int, most: int) -> None:
    points = tried([0.0] * count)
    few = thinned(points, most)
    assert len(few) == min(count, most)
    assert [few[0], few[-1]] == [points[0], points[-1]] if points else not few
    assert [p.index for p in few] == sorted({p.index for p in few})


def test_empty_and_single_states_say_so() -> None:
    assert "No experiments yet" in texts_of(progress_svg([], [], direction=DOWN))
    single = progress_svg([], [RecordPoint(index=0, value=25013.0, label="baseline")], direction=DOWN, decimals=0)
    assert "baseline" in label_texts(single)
    assert "No experiments yet" not in single
    equal = progress_svg(tried([1.0] * 5), kept(1.0, 1.0), direction=UP)
    assert "1, 1 accepted of 5" in texts_of(equal)


def test_the_last_records_keep_their_phrases_in_a_crowd() -> None:
    records = [RecordPoint(index=i, value=1 - i / 1000, label=f"quite a long phrase {i}") for i in range(200)]
    for width in (360, 960):
        labels = label_texts(progress_svg([], records, direction=DOWN, width=width))
        assert labels[-1] == "quite a long phrase 199"
        assert len(labels) < 30


@st.composite
def staircases(draw: st.DrawFn) -> list[Anchor]:
    steps = draw(st.lists(st.tuples(st.floats(0, 60), st.floats(0, 40), st.text("aW ", max_size=20)), max_size=25))
    anchors, x, y = [], 50.0, 60.0
    for dx, dy, text in steps:
        x, y = min(x + dx, 800.0), min(y + dy, 380.0)
        anchors.append(Anchor(x=x, y=y, text=text.strip(), gain=dy))
    return anchors


@given(staircases())
def test_phrases_never_cover_each_other_and_stay_inside(anchors: list[Anchor]) -> None:
    area = Box(left=40, top=40, right=820, bottom=420)
    boxes = []
    for label in place(anchors, area):
        width = text_width(label.text)
        left = label.x - {"start": 0.0, "middle": width / 2, "end": width}[label.align]
        boxes.append(Box(left=left, top=label.y - 7, right=left + width, bottom=label.y + 7))
    assert all(box.within(area) for box in boxes)
    assert not any(a.meets(b) for i, a in enumerate(boxes) for b in boxes[:i])


def test_the_best_known_is_a_line_when_near_and_a_note_when_far() -> None:
    near = progress_svg([], kept(2.0, 2.5), direction=UP, best_known=2.6)
    far = progress_svg([], kept(2.0, 2.5), direction=UP, best_known=260.0)
    assert near.count('class="known"') == far.count('class="known"') + 1
    assert "best known 2.6" in texts_of(near)
    assert "best known off the scale" in texts_of(far)


def test_the_band_spans_the_interval_of_the_best() -> None:
    with_interval = progress_svg([], kept(1.0, 0.9), direction=DOWN)
    without = progress_svg([], [RecordPoint(index=0, value=1.0)], direction=DOWN)
    band = re.search(r'<path class="band" d="([^"]+)"', with_interval)
    assert band is not None
    assert band.group(1).count("Z") == 2
    assert 'class="band"' not in without


@given(st.floats(-1e9, 1e9), st.floats(1e-6, 1e9), st.integers(1, 12), st.booleans())
def test_ticks_are_round_few_and_inside(low: float, width: float, most: int, whole: bool) -> None:
    high = low + width
    ticks, decimals = round_ticks(low, high, most, whole)
    assert len(ticks) <= most + 1
    slack = width * 1e-6 + 1e-6 * 10**-decimals
    assert all(low - slack <= tick <= high + slack for tick in ticks)
    assert len({f"{tick:.{decimals}f}" for tick in ticks}) == len(ticks)
    if whole:
        assert all(tick == int(tick) for tick in ticks)


def test_a_narrow_chart_wraps_its_words() -> None:
    svg = progress_svg(tried([1.0] * 9), kept(120000.0, 111980.0), direction=DOWN, unit="µs", width=360, height=300)
    lines = [text for text in texts_of(svg) if "→" in text or "accepted" in text]
    assert lines == ["120,000 → 111,980 µs, −6.7 %,", "1 accepted of 9"]
