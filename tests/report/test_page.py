from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from soli.errors import SoliError
from soli.report import DimensionPanels, EmbeddingMap, Panel, QueryPanels, ReportData, render, write_report

NAMES = ("vocals", "drums")
VOID = {"meta", "link", "img", "input", "br"}


@pytest.fixture(scope="module")
def data() -> ReportData:
    random = np.random.default_rng(0)
    stems = {name: 0.1 * random.standard_normal((2, 8000)) for name in NAMES}
    return ReportData(title="A song", sample_rate=8000, mixture=sum(stems.values()), stems=stems)


@pytest.fixture(scope="module")
def full(data) -> ReportData:
    random = np.random.default_rng(1)

    def panel(low: float, high: float) -> Panel:
        values = random.uniform(low, high, (40, 30))
        return Panel(values=values, frequencies=np.linspace(0, 4000, 40), seconds=1.0, low=low, high=high)

    return replace(
        data,
        truths={"vocals": data.stems["vocals"]},
        sdr={"vocals": 6.125, "drums": float("nan")},
        mixture_sdr={"vocals": -3.0, "drums": float("nan")},
        seconds=0.05,
        null_dbfs=-117.3,
        model="default",
        facts={"Licence of the weights": "CC0"},
        files={"vocals": "vocals.wav", "drums": "drums.wav"},
        loudness={"mixture": -14.26, "vocals": -20.0, "drums": float("-inf")},
        manifest={"command": "soli separate <song>", "input": {"sha256": "0" * 64}},
        figures=(
            QueryPanels(
                mixture=panel(-70, 0),
                example=panel(-70, 0),
                masked=panel(-70, 0),
                mask=panel(0, 1),
                about="2 s of drums",
            ),
            EmbeddingMap(
                points=random.standard_normal((500, 2)),
                labels=random.integers(0, 2, 500),
                classes=NAMES,
                centres=np.array([[-1.0, 0.0], [1.0, 0.0]]),
                spreads=np.stack([np.diag([4.0, 1.0]), np.eye(2)]),
                explained=np.array([0.6, 0.25]),
            ),
            DimensionPanels(mixture=panel(-70, 0), dimension=panel(-1, 1), index=6, source="vocals", variance=0.0123),
        ),
    )


@pytest.fixture(scope="module")
def html(full) -> str:
    return render(full)


class Page(HTMLParser):
    """Checks that tags nest, and gathers attributes, text and scripts."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.scripts: dict[str, str] = {}
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        assert len({name for name, _ in attrs}) == len(attrs)
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "script":
            attributes = self.tags[-1][1]
            self.scripts[attributes.get("id") or attributes.get("class") or "code"] = data
        elif not self.open or self.open[-1] != "style":
            self.texts.append(data)

    @property
    def listing(self) -> dict:
        return json.loads(self.scripts["player-data"])

    @property
    def text(self) -> str:
        return " ".join(self.texts)


def test_the_page_needs_nothing_but_itself(html):
    page = Page(html)
    for tag, attributes in page.tags:
        for name in ("src", "href", "data", "srcset", "action", "poster"):
            address = attributes.get(name)
            if address is not None and tag != "a":
                assert address.startswith("data:"), (tag, address)
        assert tag not in ("iframe", "object", "embed", "base")
    assert not re.search(r"https?://|//cdn|@import|url\(|fetch\(|XMLHttpRequest|import\(", html)


def test_every_id_is_unique_and_every_sound_the_player_names_is_there(html):
    page = Page(html)
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(set(ids)) == len(ids)
    listing = page.listing
    assert listing["duration"] == 1.0
    assert [track["name"] for track in listing["tracks"]] == ["mixture", *NAMES]
    assert [track for track in listing["tracks"] if "truthId" in track] == [listing["tracks"][1]]
    named = {track[key] for track in listing["tracks"] for key in ("estimateId", "truthId") if key in track}
    assert named == {name for name in page.scripts if name.startswith("player-sound-")}
    lanes = [attributes for _, attributes in page.tags if attributes.get("class") == "lane"]
    assert len(lanes) == len(listing["tracks"])


def test_the_script_finds_every_element_it_asks_for(html):
    page = Page(html)
    asked = re.findall(r'(?:\$|all)\("\.([\w-]+)', page.scripts["code"])
    classes = {name for _, attributes in page.tags for name in (attributes.get("class") or "").split()}
    assert len(asked) > 10
    assert set(asked) - {"hint"} <= classes  # the script itself adds a hint where nothing can be played


def test_all_numbers_are_shown(html):
    text = Page(html).text
    for shown in (
        "−14.3 LUFS",
        "silent",
        "−14.3",
        "soli separate <song>",
        "0" * 64,
        "6.12",
        "−3.00",
        "+9.12",
        "−117",
        "0.1",
        "20",
        "CC0",
        "vocals.wav"[:6],
        "0.0123",
        "60 % and 25 %",
    ):
        assert shown in text, shown
    assert "nan" not in text.lower()
    assert "–" in text  # the drums have no ratio


def test_what_is_not_given_is_not_shown(data):
    text = Page(render(data)).text
    for absent in (
        "Measured",
        "null test",
        "real time",
        "Query",
        "embedding",
        "How it was made",
        "None",
        "LUFS",
        "Manifest",
    ):
        assert absent not in text


@pytest.mark.parametrize("place", [0, 1, 2])
def test_each_figure_stands_alone(data, full, place):
    headings = ("Query by example", "The embedding space", "One dimension")
    text = Page(render(replace(data, figures=(full.figures[place],)))).text
    assert [heading in text for heading in headings] == [index == place for index in range(3)]


def test_every_point_of_the_embedding_is_drawn(html):
    dots = re.findall(r'<path d="((?:M-?\d+ -?\d+h0)+)"', html)
    assert sum(path.count("M") for path in dots) == 500


def test_names_from_outside_cannot_become_markup(data):
    nasty = "</script><script>alert(1)</script>\"'&<b>"
    stems = {nasty: data.mixture}
    hostile = replace(
        data,
        title=nasty,
        stems=stems,
        truths=stems,
        sdr={nasty: 1.0},
        facts={nasty: nasty},
        files={nasty: nasty},
        model=nasty,
    )
    page = Page(render(hostile))
    assert page.text.count(nasty) >= 5
    assert page.listing["tracks"][1]["name"] == nasty
    assert "alert" not in page.scripts["code"]


def test_only_the_first_minutes_of_a_long_song_are_held(data, monkeypatch):
    monkeypatch.setattr("soli.report.player.LONGEST_SECONDS", 1)
    page = Page(render(replace(data, sample_rate=4000, total_seconds=7200)))
    assert page.listing["duration"] == 1.0
    assert "first 1.0 s of 2:00:00 h" in page.text


def test_a_real_time_factor_is_of_the_whole_song(data):
    assert "0.010" in Page(render(replace(data, seconds=72, total_seconds=7200))).text


def test_music_was_made_and_songs_were_separated(full):
    made, separated = (Page(render(replace(full, generated=flag))).text for flag in (True, False))
    wordings = (("made by default", "to make 1.0 s"), ("separated by default", "to separate 1.0 s"))
    for page, other, wording in ((made, separated, wordings[0]), (separated, made, wordings[1])):
        assert all(part in page and part not in other for part in wording)


@pytest.mark.parametrize("shape", [(1, 1), (6, 500), (1, 8000)])
def test_any_shape_of_audio_makes_a_page(data, shape):
    audio = np.zeros(shape)
    Page(render(replace(data, mixture=audio, stems={"all": audio})))


def test_a_report_is_written_whole_or_not_at_all(data, tmp_path, monkeypatch):
    path = tmp_path / "new" / "report.html"
    assert write_report(path, data) == path
    assert Page(path.read_text(encoding="utf-8")).text == Page(render(data)).text
    path.write_text("old")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("soli.report.page.os.replace", fail)
    with pytest.raises(SoliError, match=r"report.html: No space left on device"):
        write_report(path, data)
    assert path.read_text() == "old"
    assert list(path.parent.iterdir()) == [path]


def test_a_place_that_cannot_be_written_is_one_line(data, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SoliError) as caught:
        write_report(tmp_path / "file" / "report.html", data)
    assert "\n" not in str(caught.value)


def test_torch_is_never_imported():
    source = Path(__file__).parents[2] / "src"
    code = f"import sys; sys.path.insert(0, {str(source)!r}); import soli.report; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_half_a_minute_of_four_stems_with_their_references_stays_below_six_megabytes():
    random = np.random.default_rng(0)
    audio = 0.1 * random.standard_normal((2, 30 * 44100)).astype(np.float32)  # nothing is harder to compress
    stems = dict.fromkeys(("vocals", "drums", "bass", "other"), audio)
    page = render(ReportData(title="Noise", sample_rate=44100, mixture=audio, stems=stems, truths=stems))
    assert 4e6 < len(page.encode()) < 6e6
