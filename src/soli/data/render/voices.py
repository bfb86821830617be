"""Sung stems from a folder of solo voices, placed on the phrases of a vocal part.

The words and pitches are the singer's own: what fits the song is when the voice sounds and when it rests.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from soli.audio import SILENCE_DBFS, read, resample
from soli.data.layouts.base import audio_files
from soli.data.render.notes import TimedNote
from soli.errors import SoliError

LEVEL = 0.1
"""Root mean square of every excerpt, unless its peak would pass `PEAK`."""
PEAK = 0.99

_REST_SECONDS = 0.4  # a longer gap between notes ends a phrase
_BREATH_SECONDS = 0.15  # silence between two excerpts of one phrase
_SHORTEST_SECONDS = 0.3  # of a span that counts as sung, and of a rest of a phrase that is worth another excerpt
_FADE_SECONDS = 0.01
_FRAME_SECONDS = 0.01
_SILENCE = 10 ** (-35 / 20)  # relative to the loudest frame of a clip
_INAUDIBLE = 10 ** (SILENCE_DBFS / 20)
_HOLD_SECONDS = 0.15  # a shorter silence within a clip is a consonant


@dataclass(frozen=True)
class Clip:
    """A solo recording: audio `[T]`, its sung spans in samples, and the highest frequency its file can hold, in Hz."""

    audio: np.ndarray
    spans: tuple[tuple[int, int], ...]
    bandwidth: float


class VoiceBank:
    """A folder of solo voices: audio files of any rate, of which the text before the first `_` names the singer.

    Files are decoded when they are drawn, and the last 32 stay in memory.

    Args:
        folder: of the files; those in folders below it are not seen.

    Attributes:
        singers: singer -> files in order of name; files without `_` are of one singer, `""`.

    Raises:
        SoliError: for a folder that is missing or has no audio files.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise SoliError(f"{folder}: no such folder; allowed: a folder of audio files of solo voices")
        self.singers: dict[str, list[Path]] = {}
        for path in audio_files(self.folder):
            singer, mark, _ = path.stem.partition("_")
            self.singers.setdefault(singer if mark else "", []).append(path)
        if not self.singers:
            raise SoliError(f"{folder}: no audio files; allowed: a folder of audio files of solo voices")

    def sing(
        self, notes: Sequence[TimedNote], rng: random.Random, *, sample_rate: int, n_samples: int
    ) -> tuple[np.ndarray, list[dict[str, Any]]]:
        """Let one singer sing a part.

        Each phrase (notes with no gap above 0.4 s) begins with the onset of an excerpt and is silent after its end;
        where a clip ends before the phrase, another follows after a breath. Excerpts begin where the clip begins to
        sound and end, where they can, with a silence of the clip; none is used twice before all clips were.

        Args:
            notes: of the vocal part; only their times matter.
            rng: draws the singer and the excerpts.
            sample_rate: in Hz.
            n_samples: length of the result.

        Returns:
            float32 `[1, n_samples]`, and what was drawn: for each excerpt `singer`, `file`, `offset` in the file,
            `start` in the song and `seconds`, and `bandwidth` in Hz, above which it has no content.

        Raises:
            SoliError: for a file that cannot be read, and a singer whose files are all silent.
        """
        audio = np.zeros((1, n_samples), np.float32)
        record: list[dict[str, Any]] = []
        singer = rng.choice(sorted(self.singers))
        deck = _Deck(self.singers[singer], rng, sample_rate)
        for start, end in _phrases(notes, sample_rate, n_samples):
            while True:
                path, clip = deck.draw()
                first, last = _excerpt(clip, rng, end - start)
                audio[0, start : start + last - first] = _levelled(clip.audio[first:last], sample_rate)
                record.append(
                    {
                        "singer": singer,
                        "file": path.name,
                        "offset": first / sample_rate,
                        "start": start / sample_rate,
                        "seconds": (last - first) / sample_rate,
                        "bandwidth": clip.bandwidth,
                    }
                )
                start += last - first + round(_BREATH_SECONDS * sample_rate)
                if end - start < _SHORTEST_SECONDS * sample_rate:
                    break
        return audio, record


class _Deck:
    """The files of a singer, shuffled anew whenever all were drawn; silent ones are passed over."""

    def __init__(self, files: list[Path], rng: random.Random, sample_rate: int) -> None:
        self._files = files
        self._rng = rng
        self._sample_rate = sample_rate
        self._order: list[Path] = []

    def draw(self) -> tuple[Path, Clip]:
        """The next file in which someone sings."""
        for _ in range(2 * len(self._files)):  # the rest of this order, and all of the next
            if not self._order:
                self._order = self._rng.sample(self._files, len(self._files))
            path = self._order.pop()
            clip = _clip(path, self._sample_rate)
            if clip.spans:
                return path, clip
        raise SoliError(
            f"{self._files[0]} and the other files of its singer: nothing is sung; "
            f"allowed: sound of at least {_SHORTEST_SECONDS} s"
        )


def _phrases(notes: Sequence[TimedNote], sample_rate: int, n_samples: int) -> list[tuple[int, int]]:
    """Begin and end in samples of the phrases that are heard."""
    phrases: list[list[float]] = []
    for note in sorted(notes, key=lambda note: note.start_seconds):
        if not phrases or note.start_seconds - phrases[-1][1] > _REST_SECONDS:
            phrases.append([note.start_seconds, note.end_seconds])
        phrases[-1][1] = max(phrases[-1][1], note.end_seconds)
    spans = [(max(round(begin * sample_rate), 0), round(end * sample_rate)) for begin, end in phrases]
    return [(begin, min(end, n_samples)) for begin, end in spans if begin < min(end, n_samples)]


def _excerpt(clip: Clip, rng: random.Random, wanted: int) -> tuple[int, int]:
    """First sample and the one after the last, at most `wanted` apart."""
    long_enough = [begin for begin, _ in clip.spans if clip.spans[-1][1] - begin >= wanted]
    first = rng.choice(long_enough) if long_enough else clip.spans[0][0]
    silences = [end for _, end in clip.spans if first < end <= first + wanted]
    return first, silences[-1] if silences else first + wanted


def _levelled(audio: np.ndarray, sample_rate: int) -> np.ndarray:
    """At `LEVEL`, with a short fade at both ends."""
    level = float(np.sqrt(np.mean(np.square(audio, dtype=np.float64))))
    gain = min(LEVEL / max(level, 1e-9), PEAK / max(float(np.abs(audio).max()), 1e-9))
    n_fade = min(round(_FADE_SECONDS * sample_rate), len(audio) // 2)
    ramp = (np.arange(n_fade, dtype=np.float32) + 1) / (n_fade + 1)
    done = audio * np.float32(gain)
    done[:n_fade] *= ramp
    done[len(done) - n_fade :] *= ramp[::-1]
    return done


@lru_cache(maxsize=32)
def _clip(path: Path, sample_rate: int) -> Clip:
    """A file, mixed down, at another rate."""
    waveform, rate = read(path)
    audio = resample(waveform.mean(0), rate, sample_rate).numpy()
    audio.flags.writeable = False
    return Clip(audio, _sung(audio, sample_rate), min(rate, sample_rate) / 2)


def _sung(audio: np.ndarray, sample_rate: int) -> tuple[tuple[int, int], ...]:
    """Where there is sound, in samples."""
    n_frame = max(round(_FRAME_SECONDS * sample_rate), 1)
    padded = np.pad(audio, (0, -len(audio) % n_frame)).reshape(-1, n_frame)
    levels = np.sqrt(np.mean(np.square(padded, dtype=np.float64), axis=1))
    loud = levels > max(_SILENCE * levels.max(), _INAUDIBLE)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], loud, [False]]).astype(np.int8))).reshape(-1, 2)
    spans: list[list[int]] = []
    for begin, end in (edges * n_frame).tolist():
        if spans and begin - spans[-1][1] < _HOLD_SECONDS * sample_rate:
            spans[-1][1] = end
        else:
            spans.append([begin, end])
    shortest = _SHORTEST_SECONDS * sample_rate
    return tuple((begin, min(end, len(audio))) for begin, end in spans if end - begin >= shortest)
