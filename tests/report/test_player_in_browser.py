from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soxr

from browser import BLOCK, RATE, lag, levels, listen, visit
from soli.report import ReportData, write_report

SONG_RATE, SECONDS = 16_000, 12.0
MIXTURE, VOCALS, TRUTH, DRUMS = range(4)  # in the order of the page
HEARD, SILENT = -40.0, -100.0


@pytest.fixture(scope="module")
def song() -> np.ndarray:
    """Noise, so that any part of it can be told from any other."""
    return 0.2 * np.random.default_rng(0).standard_normal((1, round(SECONDS * SONG_RATE)))


@pytest.fixture(scope="module")
def path(song, tmp_path_factory) -> Path:
    """Every track is the same noise at another level: whatever is out of step shows."""
    data = ReportData(
        title="Song",
        sample_rate=SONG_RATE,
        mixture=song,
        stems={"vocals": 0.9 * song, "drums": 0.5 * song},
        truths={"vocals": 0.7 * song},
    )
    return write_report(tmp_path_factory.mktemp("page") / "report.html", data)


@pytest.fixture
def page(chromium, path):
    with visit(chromium, path) as page:
        yield page


def play(page) -> None:
    page.get_by_role("button", name="Play").click()
    page.wait_for_selector(".player.playing")


def place(song: np.ndarray, heard: np.ndarray) -> float:
    """Where in the song a block comes from, in seconds."""
    return lag(soxr.resample(heard, RATE, SONG_RATE), song[0]) / SONG_RATE


def last_starts(page) -> np.ndarray:
    """When, from where and how looped each track was last started."""
    return np.array(page.evaluate("window.starts.slice(-window.taps.length)"))


def hear_all(page) -> np.ndarray:
    """One block of estimates and mixture, all audible."""
    page.get_by_role("button", name="Mute mixture").click()
    return listen(page)[[MIXTURE, VOCALS, DRUMS]]


def test_all_tracks_play_in_step_also_after_seeking_and_looping(page):
    play(page)
    heard = hear_all(page)
    for key in ("", "ArrowRight", "Home", "l"):
        if key:
            page.keyboard.press(key)
            heard = listen(page)[[MIXTURE, VOCALS, DRUMS]]
        assert np.square(heard).mean() > 1e-4
        assert [lag(heard[0], other) for other in heard[1:]] == [0, 0]  # less than 20 ms is what is asked
    starts = last_starts(page)
    assert (starts == starts[0]).all()


def test_the_test_above_notices_a_delay(page):
    page.evaluate("window.delays = [0, 0, 0, 0.03]")
    play(page)
    heard = hear_all(page)
    assert lag(heard[0], heard[2]) == pytest.approx(0.03 * RATE, abs=2)


def test_the_mixture_is_muted_first_and_solo_and_mute_do_what_they_say(page):
    def heard() -> list[int]:
        found = levels(page)
        assert all(level > HEARD or level < SILENT for level in found), found
        return [index for index, level in enumerate(found) if level > HEARD]

    play(page)
    assert heard() == [VOCALS, DRUMS]
    page.get_by_role("button", name="Mute drums").click()
    assert heard() == [VOCALS]
    page.get_by_role("button", name="Solo drums").click()
    assert heard() == [DRUMS]
    page.get_by_role("button", name="Solo mixture").click()
    assert heard() == [MIXTURE]
    page.get_by_role("button", name="Solo vocals").click(modifiers=["Shift"])
    assert heard() == [MIXTURE, VOCALS]
    assert page.locator('[aria-pressed="true"].solo').count() == 2


def test_a_reference_is_heard_and_seen_in_place_of_its_estimate(page):
    play(page)
    before = levels(page)
    swap = page.get_by_role("button", name="Reference")
    swap.click()
    after = levels(page)
    assert before[VOCALS] > HEARD > SILENT > before[TRUTH]
    assert after[TRUTH] > HEARD > SILENT > after[VOCALS]
    assert swap.get_attribute("aria-pressed") == "true"
    assert page.get_by_alt_text("Spectrogram of the true vocals").is_visible()
    assert not page.get_by_alt_text("Spectrogram of vocals").is_visible()


def test_half_the_volume_is_a_quarter_of_the_amplitude(page):
    play(page)
    before = levels(page)
    page.get_by_label("Volume of drums").fill("0.5")
    after = levels(page)
    assert after[DRUMS] - before[DRUMS] == pytest.approx(20 * np.log10(0.25), abs=1.5)
    assert after[VOCALS] == pytest.approx(before[VOCALS], abs=1.5)


def test_a_click_on_a_strip_moves_there(page, song):
    play(page)
    strip = page.locator(".strip").nth(1)
    box = strip.bounding_box()
    strip.click(position={"x": 0.5 * box["width"], "y": 20})
    starts = last_starts(page)
    np.testing.assert_allclose(starts[:, 1], 0.5 * SECONDS, atol=0.02)
    where = place(song, listen(page)[VOCALS])
    assert 0.5 * SECONDS - BLOCK / RATE < where < 0.5 * SECONDS + 3
    page.keyboard.press(" ")
    shown = float(page.locator(".seek").input_value())
    assert shown > where - BLOCK / RATE
    page.keyboard.press(" ")
    page.wait_for_selector(".player.playing")
    np.testing.assert_allclose(last_starts(page)[:, 1], shown, atol=1e-6)  # it goes on where it was stopped


def test_a_part_dragged_on_the_ruler_is_looped(page, song):
    ruler = page.locator(".ruler")
    box = ruler.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 3, box["y"] + 5)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 3 / 8, box["y"] + 5)
    page.mouse.up()
    play(page)
    np.testing.assert_allclose(last_starts(page)[:, 2:], [[4.0, 4.5]] * 4, atol=0.02)
    for _ in range(6):  # blocks of more than one turn
        heard = listen(page, blocks=2)[VOCALS]
        assert 3.98 <= place(song, heard[: BLOCK // 4]) <= 4.52
        assert 3.9 <= float(page.locator(".seek").input_value()) <= 4.6
    assert page.get_by_role("button", name="Loop").get_attribute("aria-pressed") == "true"
    ruler.click(position={"x": 5, "y": 5})
    assert page.get_by_role("button", name="Loop").get_attribute("aria-pressed") == "false"


def test_everything_can_be_done_from_the_keyboard(page):
    def pressed(name: str) -> bool:
        return page.get_by_role("button", name=name).get_attribute("aria-pressed") == "true"

    def at() -> float:
        return float(page.locator(".seek").input_value())

    press = page.keyboard.press
    press("ArrowRight")
    assert at() == 5.0
    press("[")
    press("Home")
    press("]")
    assert (at(), pressed("Loop")) == (0.0, True)
    press("l")
    assert not pressed("Loop")
    press("2")
    assert pressed("Solo vocals")
    press("Shift+3")
    assert pressed("Solo vocals")
    assert pressed("Solo drums")
    press("0")
    assert not pressed("Solo vocals")
    press("r")
    press("m")
    assert pressed("Reference")
    assert pressed("Mute vocals")
    page.get_by_role("button", name="Mute vocals").focus()
    press("ArrowDown")
    press("s")
    assert pressed("Solo drums")
    page.get_by_label("Position").focus()  # a slider keeps its arrows, but not the space bar
    press(" ")
    page.wait_for_selector(".player.playing")
    press(" ")
    page.wait_for_selector(".player:not(.playing)")


def test_the_focus_is_visible_wherever_it_goes(page):
    seen = []
    for _ in range(14):
        page.keyboard.press("Tab")
        seen.append(
            page.evaluate(
                "(() => { const e = document.activeElement, s = getComputedStyle(e);"
                "return [e.getAttribute('aria-label') || e.value, s.outlineStyle, parseFloat(s.outlineWidth)]; })()"
            )
        )
    assert len({name for name, *_ in seen}) == 14
    assert all(style != "none" and width >= 2 for _, style, width in seen), seen


def test_the_end_stops_and_the_next_start_is_from_the_beginning(page):
    page.get_by_label("Position").fill(str(SECONDS - 0.1))
    play(page)
    page.wait_for_selector(".player:not(.playing)")
    play(page)
    assert (last_starts(page)[:, 1] == 0).all()


def test_a_browser_that_cannot_decode_is_told_once_and_nothing_plays(page):
    page.evaluate(
        "() => { BaseAudioContext.prototype.decodeAudioData = () => Promise.reject(new Error('no such codec')); }"
    )
    for _ in range(2):
        page.get_by_role("button", name="Play").click()
        page.get_by_text("cannot play Ogg Opus (no such codec)").wait_for()
        page.wait_for_selector(".player:not(.waiting):not(.playing)")
    assert page.get_by_text("cannot play Ogg Opus").count() == 1


def test_only_one_player_of_a_page_plays(chromium, song, tmp_path):
    from soli.report import Excerpt, write_page
    from soli.report.listening import listening_page

    songs = [
        Excerpt(title=name, sample_rate=SONG_RATE, mixture=song, stems={"all": song}, about="train")
        for name in ("One", "Two")
    ]
    with visit(chromium, write_page(tmp_path / "songs.html", listening_page("Set", "Two songs", songs))) as page:
        for number in (0, 1):
            page.locator(".play").nth(number).click()
            page.wait_for_selector(f"#song-{number}.playing")
        assert page.locator(".playing").count() == 1
        page.keyboard.press("Home")  # goes to the player that was used last
        page.keyboard.press("m")
        assert page.locator('#song-1 [aria-pressed="true"].mute').count() == 2
        assert page.locator('#song-0 [aria-pressed="true"].mute').count() == 1
