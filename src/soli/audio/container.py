"""Reading m4a, mp4, video and multi-stream files through PyAV (FFmpeg).

Lossy codecs work in whole frames: the decoded stream begins with the encoder's delay and ends with padding. FFmpeg
removes the delay where the container tells it; the end is cut here, at the length that the container states.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np
from av.error import FFmpegError

from soli.errors import SoliError

if TYPE_CHECKING:
    from av import AudioFrame
    from av.audio.stream import AudioStream
    from av.container import InputContainer

_LOSSLESS = ("alac", "flac", "pcm_", "wavpack", "tta", "ape")
_SAMPLE_SUBTYPES = {"u8": "PCM_U8", "s16": "PCM_16", "s32": "PCM_24", "flt": "FLOAT", "dbl": "DOUBLE"}


class ContainerSource:
    """One audio stream of a file that FFmpeg can open.

    Args:
        path: of the file.
        stream: index among the audio streams.

    Attributes:
        sample_rate: in Hz, of the decoded audio.
        n_channels: of the decoded audio.
        n_samples: as stated, possibly a few samples off; None where nothing is stated.
        format: FFmpeg's name of the container.
        subtype: see `AudioReader`.

    Raises:
        SoliError: for a file or stream that cannot be decoded.
    """

    def __init__(self, path: Path, stream: int) -> None:
        self._path = path
        self._stream = stream
        with _opened(path) as container:
            audio = _audio_stream(container, path, stream)
            # Only a decoded frame tells the true rate and format: HE-AAC doubles the rate that its header gives.
            first = next(_frames(container, audio), None)
            if first is None:
                raise SoliError(f"{path}: the audio stream has no samples")
            self.sample_rate = first.sample_rate
            self.n_channels = first.layout.nb_channels
            self.format = container.format.name.split(",")[0]
            self.subtype = _subtype(audio.codec_context.name, first.format.name)
            self.n_samples = _stated_length(container, audio, self.sample_rate)

    def chunks(self, start: int) -> Iterator[np.ndarray]:
        """Decode from `start` to the end, `[T C]`; what lies before is decoded too, which keeps the start exact."""
        position = 0
        with _opened(self._path) as container:
            audio = _audio_stream(container, self._path, self._stream)
            for samples in self._trimmed(container, audio):
                fresh = samples[max(0, start - position) :]
                position += len(samples)
                if len(fresh):
                    yield fresh
            self._refuse_cut_file(container, audio, position)

    def close(self) -> None:
        """Nothing to do: the file is open only while `chunks` runs."""

    def _trimmed(self, container: InputContainer, audio: AudioStream) -> Iterator[np.ndarray]:
        """Decoded frames `[T C]`, without the padding after the end."""
        left = _itunes_length(container.metadata)
        ends: list[Fraction] = []
        held = None
        for frame in _frames(container, audio, ends):
            if held is not None and left != 0:
                samples = self._samples(held)[:left]
                left = None if left is None else left - len(samples)
                yield samples
            held = frame
        if held is not None and left != 0:
            yield self._samples(held)[: _last_length(held, ends, self.sample_rate) if left is None else left]

    def _samples(self, frame: AudioFrame) -> np.ndarray:
        """One frame as float32 `[T C]`."""
        if (frame.sample_rate, frame.layout.nb_channels) != (self.sample_rate, self.n_channels):
            raise SoliError(f"{self._path}: the sample rate or the channels change at {frame.time:.3f} s")
        data = frame.to_ndarray()
        if not frame.format.is_planar:
            data = data.reshape(-1, self.n_channels).T
        if data.dtype.kind == "u":
            return ((data.astype(np.float32) - 128) / 128).T
        scale = 2.0 ** (8 * data.dtype.itemsize - 1) if data.dtype.kind == "i" else 1.0
        return (data / scale).astype(np.float32).T

    def _refuse_cut_file(self, container: InputContainer, audio: AudioStream, position: int) -> None:
        """An mp4 whose index is at the front opens although its end is missing; other containers state too little."""
        stated = _stated_length(container, audio, self.sample_rate)
        if container.format.name.startswith("mov") and stated and position < stated - self.sample_rate // 2:
            seconds = position / self.sample_rate
            raise SoliError(
                f"{self._path}: truncated or damaged after {seconds:.3f} s"
                f" ({stated / self.sample_rate:.3f} s were announced)"
            )


def count_streams(path: Path) -> int:
    """Count the audio streams of a file.

    Args:
        path: of the file.

    Returns:
        Their number, at least 1.

    Raises:
        SoliError: for a file without audio.
    """
    with _opened(path) as container:
        _audio_stream(container, path, 0)
        return len(container.streams.audio)


@contextmanager
def _opened(path: Path) -> Iterator[InputContainer]:
    """An open container; FFmpeg's errors become ours."""
    try:
        with av.open(str(path)) as container:
            yield container
    except (FFmpegError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "unreadable names in the header"
        raise SoliError(f"{path}: not an audio file that can be read, or damaged ({reason})") from error


def _audio_stream(container: InputContainer, path: Path, index: int) -> AudioStream:
    """The audio stream by its index among the audio streams."""
    streams = container.streams.audio
    if not streams:
        raise SoliError(f"{path}: there is no audio stream in this file")
    if not 0 <= index < len(streams):
        allowed = "0" if len(streams) == 1 else f"0 to {len(streams) - 1}"
        raise SoliError(f"{path}: audio stream {index} does not exist; allowed: {allowed}")
    return streams[index]


def _frames(container: InputContainer, audio: AudioStream, ends: list[Fraction] | None = None) -> Iterator[AudioFrame]:
    """Decode the stream; `ends`, if given, holds the time in seconds at which the last packet ends."""
    for packet in container.demux(audio):
        if ends is not None and packet.pts is not None and packet.duration:
            ends[:] = [(packet.pts + packet.duration) * packet.time_base]
        for frame in packet.decode():
            if frame.samples:
                yield frame


def _last_length(frame: AudioFrame, ends: list[Fraction], sample_rate: int) -> int:
    """Samples of the last frame that belong to the song: an mp4 gives its last packet a shorter duration."""
    clock = frame.time_base
    if not ends or frame.pts is None or clock is None or clock * sample_rate > 2:  # a coarse clock cannot tell
        return frame.samples
    wanted = round((ends[0] - frame.pts * clock) * sample_rate)
    return wanted if 0 < wanted < frame.samples else frame.samples


def _itunes_length(metadata: dict[str, str]) -> int | None:
    """Length without delay and padding as Apple's encoders store it: hexadecimal flags, delay, padding, length."""
    fields = metadata.get("iTunSMPB", "").split()
    try:
        return int(fields[3], 16) or None
    except (IndexError, ValueError):
        return None


def _stated_length(container: InputContainer, audio: AudioStream, sample_rate: int) -> int | None:
    """Length by the header, in samples."""
    exact = _itunes_length(container.metadata)
    if exact is not None:
        return exact
    if audio.duration and audio.time_base:
        return round(audio.duration * audio.time_base * sample_rate)
    return round(Fraction(container.duration, 1_000_000) * sample_rate) if container.duration else None


def _subtype(codec: str, sample_format: str) -> str:
    """Name as libsndfile has it where the codec is lossless, the codec's name in capitals elsewhere."""
    if codec.startswith(_LOSSLESS):
        return _SAMPLE_SUBTYPES.get(sample_format.removesuffix("p"), codec.upper())
    return codec.upper()
