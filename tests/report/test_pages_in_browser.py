from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from browser import visit
from evaluations import evaluation
from soli.report import (
    ClassCodes,
    ClusterTable,
    DimensionPanels,
    EmbeddingMap,
    Excerpt,
    Panel,
    QueryPanels,
    ReportData,
    SeparationGrid,
    TrainingCurves,
    write_page,
    write_report,
)
from soli.report.leaderboard import leaderboard_page
from soli.report.listening import listening_page
from soli.report.results import parse

KINDS = ("separation", "leaderboard", "listening")
LONG = "A very long name of a song that nobody can remember, Op. 27 (live, remastered)"

# Text whose contrast to the next background behind it is below WCAG AA; pictures are no background.
FAINT = """
() => {
  const canvas = document.createElement("canvas"); canvas.width = canvas.height = 1;
  const draw = canvas.getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => {
    draw.clearRect(0, 0, 1, 1); draw.fillStyle = colour; draw.fillRect(0, 0, 1, 1);
    return draw.getImageData(0, 0, 1, 1).data;
  };
  const light = (colour) => {
    const [r, g, b] = [...colour].slice(0, 3).map((v) => v / 255)
      .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const colour = rgba(getComputedStyle(e).backgroundColor);
      if (colour[3] === 255) return colour;
    }
    throw new Error("no background");
  };
  const found = []; let seen = 0;
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const element = walk.currentNode.parentElement, style = getComputedStyle(element);
    if (!walk.currentNode.data.trim() || element.closest("script") || !element.checkVisibility()) continue;
    const ink = element.namespaceURI.endsWith("svg") ? style.fill : style.color;
    const [a, b] = [light(rgba(ink)), light(behind(element))].sort((x, y) => y - x);
    seen += 1;
    if ((a + 0.05) / (b + 0.05) < 4.5) found.push([walk.currentNode.data.trim(), ink, (a + 0.05) / (b + 0.05)]);
  }
  return [seen, found];
}
"""

# Labels of one chart that lie on each other.
OVERLAPS = """
() => {
  const found = []; let seen = 0;
  for (const group of document.querySelectorAll(".ticks, .hertz, .ruler, .plot, .scatter svg, .controls, .transport")) {
    const labels = [...group.querySelectorAll("i, text, span, small, button, input, .clock")]
      .filter((e) => e.checkVisibility() && getComputedStyle(e).visibility === "visible")
      .filter((e) => !e.parentElement.closest("button"));
    const boxes = labels.map((e) => [e.textContent.trim() || e.className, e.getBoundingClientRect()]);
    seen += boxes.length;
    boxes.forEach(([a, x], i) => boxes.slice(i + 1).forEach(([b, y]) => {
      const wide = Math.min(x.right, y.right) - Math.max(x.left, y.left);
      const high = Math.min(x.bottom, y.bottom) - Math.max(x.top, y.top);
      if (wide > 1 && high > 2) found.push([group.className, a, b, wide, high]);
    }));
  }
  return [seen, found];
}
"""


@pytest.fixture(scope="module")
def paths(tmp_path_factory) -> dict[str, Path]:
    """A page of every kind, each with all it can show."""
    folder = tmp_path_factory.mktemp("pages")
    random = np.random.default_rng(0)
    audio = 0.1 * random.standard_normal((2, 16_000))

    def panel() -> Panel:
        return Panel(
            values=random.random((30, 40)), frequencies=np.linspace(0, 8000, 30), seconds=2.0, low=0.0, high=1.0
        )

    names = ("vocals", "drums", "bass")
    figures = (
        QueryPanels(mixture=panel(), example=panel(), masked=panel(), mask=panel(), about="3 s of the true drums"),
        EmbeddingMap(
            points=random.standard_normal((300, 2)), labels=random.integers(0, 3, 300), classes=names,
            centres=0.01 * random.standard_normal((3, 2)), spreads=np.stack([np.eye(2)] * 3),
            explained=np.array([0.5, 0.2]),
        ),
        DimensionPanels(mixture=panel(), dimension=panel(), index=2, source="bass", variance=0.1),
        ClassCodes(
            counts=random.integers(0, 240, (11, 16)), classes=tuple(f"instrument {i}" for i in range(11)),
            codes=tuple(map(str, range(16))), measures={"purity": 0.51, "NMI": 0.43},
        ),
        SeparationGrid(
            rows=("kick and flute", "two flutes"), columns=("mixture", *(f"code {i}" for i in range(8))),
            panels=[[panel() for _ in range(9)], [panel(), None, *(panel() for _ in range(7))]],
        ),
        ClusterTable(
            clusters=("first", "second"), energy=np.array([0.2, 0.65]), about="k-means.",
            measures={"MSE": [0.008, float("nan")], "Entropy, bits": [6.43, 6.7], "Sparsity": [0.77, 0.74]},
        ),
        TrainingCurves(series={"loss": (np.arange(900.0), 1 / (1 + np.arange(900.0))), "validation": (
            np.array([100.0, 900.0]), np.array([3.0, 4.5]))}),
    )  # fmt: skip
    stems = dict.fromkeys(names, audio / 3)
    data = ReportData(
        title=LONG, sample_rate=8000, mixture=audio, stems=stems, truths=stems, sdr=dict.fromkeys(names, 5.0),
        mixture_sdr=dict.fromkeys(names, -5.0), loudness=dict.fromkeys(("mixture", *names), -23.4), seconds=0.2,
        null_dbfs=-96.0, model="default", facts={"SHA-256 of the weights": "0" * 64}, figures=figures,
        manifest={"command": f"soli separate '{LONG}.wav' --report", "config": {"sha256": "f" * 64}},
    )  # fmt: skip
    models = {"mixture": -5.0, "default": 4.0, "oracle:phase_sensitive": 10.0, "checkpoints/mine": 3.9, "umx": 3.95}
    board = parse(evaluation(models, failing="umx"), "results")
    songs = [Excerpt(title=LONG, sample_rate=8000, mixture=audio, stems=stems, about="train")] * 2
    return {
        "separation": write_report(folder / "separation.html", data),
        "leaderboard": write_page(folder / "leaderboard.html", leaderboard_page([board])),
        "listening": write_page(folder / "listening.html", listening_page("Songs", "Two songs.", songs)),
    }


def open_all(page) -> None:
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")


@pytest.mark.parametrize("kind", KINDS)
def test_pages_fit_a_phone(chromium, paths, kind):
    with visit(chromium, paths[kind], width=360) as page:
        open_all(page)
        assert page.evaluate("document.documentElement.scrollWidth") == 360
        assert page.evaluate("document.querySelector('h1').getBoundingClientRect().right") <= 360
        outside = page.evaluate(
            "[...document.querySelectorAll('button, input, select, h1, h2, p, img, svg, .strip, .ruler')]"
            ".filter((e) => e.checkVisibility() && !e.closest('.scroll') && e.getBoundingClientRect().right > 360)"
            ".map((e) => e.outerHTML)"
        )
        assert outside == []


@pytest.mark.parametrize("kind", KINDS)
def test_all_text_can_be_read_in_light_and_in_dark(chromium, paths, kind):
    with visit(chromium, paths[kind]) as page:
        open_all(page)
        page.evaluate("document.querySelectorAll('.solo, .versus').forEach((button) => button.click())")
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            seen, faint = page.evaluate(FAINT)
            assert seen > 50
            assert faint == [], scheme


@pytest.mark.parametrize("kind", KINDS)
def test_no_label_lies_on_another(chromium, paths, kind):
    with visit(chromium, paths[kind]) as page:
        open_all(page)
        for width in (360, 800, 1200):
            page.set_viewport_size({"width": width, "height": 800})
            seen, overlaps = page.evaluate(OVERLAPS)
            assert seen > 20
            assert overlaps == [], width


def test_the_two_tests_above_notice_what_is_wrong(chromium, paths):
    with visit(chromium, paths["leaderboard"]) as page:
        page.add_style_tag(content=":root { --soft: light-dark(#999, #555); } .ticks i { left: 0 !important; }")
        assert len(page.evaluate(FAINT)[1]) > 5
        assert len(page.evaluate(OVERLAPS)[1]) > 5


def test_the_button_changes_between_light_and_dark(chromium, paths):
    for dark in (False, True):
        with visit(chromium, paths["leaderboard"], dark=dark) as page:
            button = page.get_by_role("button", name="Dark colours")
            shades = []
            for turn in range(3):
                pressed = button.get_attribute("aria-pressed") == "true"
                assert pressed == (dark if turn % 2 == 0 else not dark)
                shades.append(page.evaluate("getComputedStyle(document.body).backgroundColor"))
                button.click()
            assert shades[0] == shades[2] != shades[1]


def test_columns_sort_and_what_has_no_number_stays_last(chromium, paths):
    with visit(chromium, paths["leaderboard"]) as page:

        def column(index: int) -> list[str]:
            cells = page.locator(f"table.sortable tbody:not([hidden]) tr > :nth-child({index + 1})")
            return [text.replace("\N{MINUS SIGN}", "-") for text in cells.all_inner_texts()]

        page.get_by_label("Source").select_option("vocals")
        before = column(0)
        assert before == sorted(before)
        names = page.locator("table.sortable th[scope=col]").all_inner_texts()
        for name, without in (("mixture", 1), ("umx", 2)):  # a silent track, and one that failed
            for descending in (True, False):
                page.locator("table.sortable").get_by_role("button", name=name).click()
                values = column(names.index(name))
                numbers = [float(value) for value in values[:-without]]
                assert values[-without:] == ["–"] * without
                assert numbers == sorted(numbers, reverse=descending)
                assert min(numbers) < 0 or name != "mixture"
        page.locator("table.sortable").get_by_role("button", name="Track").click()
        assert column(0) == before[::-1]


def test_another_view_shows_the_waveform(chromium, paths):
    with visit(chromium, paths["separation"]) as page:
        picture, wave = page.get_by_alt_text("Spectrogram of drums"), page.get_by_label("Waveform of drums")
        assert picture.is_visible()
        assert not wave.is_visible()
        page.get_by_role("button", name="Waveform").click()
        assert wave.is_visible()
        assert not picture.is_visible()
