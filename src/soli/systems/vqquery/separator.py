"""The modern preset as a separator: by code, by what sounds, and by example."""

from __future__ import annotations

from typing import ClassVar, Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from soli.dsp.frames import synthesise
from soli.dsp.level import mixed_down
from soli.dsp.scale import USUAL_LEVEL
from soli.errors import SoliError
from soli.separator import Estimates, check_waveform
from soli.streaming import MonoSeparator
from soli.systems.vqquery.config import VQQueryConfig
from soli.systems.vqquery.discovery import CodeSeparator, code_names
from soli.systems.vqquery.network import QueryNetwork

QueryMode = Literal["code", "embedding"]
_SILENCE = 1e-6
_QUIET = 1e-4  # of the loudest window's power: quieter ones say nothing of a source


class VQQuery(CodeSeparator):
    """Masks for every code of a codebook of source categories, modern preset.

    Args:
        config: of the network.
    """

    Config: ClassVar[type[VQQueryConfig]] = VQQueryConfig
    segment_seconds = 30.0

    def __init__(self, config: VQQueryConfig) -> None:
        super().__init__()
        self.config = config
        self.sample_rate = config.sample_rate
        self.sources = code_names(config.n_codes)
        self.context_seconds = config.context_seconds
        self.network = QueryNetwork(config)

    @torch.inference_mode()
    def codes_of(self, examples: Tensor) -> Tensor:
        """See `CodeSeparator`."""
        return self.network.categories.assign(self.embed(examples))

    def embed(self, examples: Tensor) -> Tensor:
        """Where isolated sources are among the codes, heard in windows as long as the examples of the training.

        Args:
            examples: `[M T]`.

        Returns:
            `[M D]`, of length one: the mean over the windows that sound.
        """
        window = round(self.config.query_seconds * self.sample_rate)
        if examples.shape[-1] < 1.5 * window:
            return self.network.encoder(examples)
        windows = F.pad(examples, (0, -examples.shape[-1] % window)).unflatten(-1, (-1, window))  # [M W window]
        levels = windows.square().mean(dim=-1)
        sounds = levels >= _QUIET * levels.amax(dim=-1, keepdim=True)
        found = torch.zeros(*sounds.shape, self.config.code_size, device=examples.device)
        found[sounds] = self.network.encoder(windows[sounds])
        return F.normalize(found.sum(dim=1), dim=-1)

    def _separate_mono(self, mixture: Tensor) -> Tensor:
        vectors = self.network.categories.vectors()[None]
        return self.outputs(mixture, vectors, range(len(self.sources)))

    def outputs(self, mixture: Tensor, queries: Tensor, wanted: range | list[int]) -> Tensor:
        """Share a mixture out among queries.

        Args:
            mixture: `[B T]`; loudness does not matter.
            queries: `[1 M D]`; all of them compete.
            wanted: which of the M outputs to make.

        Returns:
            `[B len(wanted) T]`.
        """
        level = mixture.square().mean(dim=-1, keepdim=True).sqrt() / USUAL_LEVEL
        level = torch.where(level > _SILENCE, level, 1.0)
        found = self.network.describe(mixture / level)
        spectrogram = found.spectrogram * level[..., None]
        shares = (self.config.sharpness * self.network.logits(found.bins, queries)).softmax(dim=1)
        stems = mixture.new_empty(len(mixture), len(wanted), mixture.shape[-1])
        for place, query in enumerate(wanted):  # one at a time stays in the cache
            share = shares[:, query]
            masked = torch.cat((share, share[..., -1:]), dim=-1) * spectrogram
            stems[:, place] = synthesise(masked, self.config.n_fft, self.config.hop_length, mixture.shape[-1])
        return stems

    @torch.inference_mode()
    def query(self, mixture: Tensor, example: Tensor, sample_rate: int, mode: QueryMode = "code") -> Estimates:
        """Extract what sounds like an isolated example.

        Args:
            mixture: `[C T]`, or `[B C T]` for a batch.
            example: `[C T]`, any number of channels and samples; mixed down to mono.
            sample_rate: of both, in Hz.
            mode: `code` gives what the example's code gives; `embedding` lets the example itself compete, in the place
                of that code.

        Returns:
            Estimates with one source, `match`; `info` has `mode`, `code` and its `name`.

        Raises:
            SoliError: for wrong input, an unknown mode or a silent example.
        """
        if mode not in get_args(QueryMode):
            raise SoliError(f"mode={mode!r}; allowed: {', '.join(get_args(QueryMode))}")
        check_waveform(mixture, sample_rate, self.sample_rate)
        check_waveform(example, sample_rate, self.sample_rate)
        heard = mixed_down(example.float().flatten(0, -2))
        if float(heard.abs().max()) < _SILENCE:
            raise SoliError("the example is silent; there is nothing to look for")
        embedding = self.embed(heard)
        code = int(self.network.categories.assign(embedding))
        queries = self.network.categories.vectors().clone()
        if mode == "embedding":
            queries[code] = embedding[0]
        match = _Match(self, queries[None], code).separate(mixture, sample_rate).stems
        info = {"mode": mode, "code": code, "name": self.label(code)}
        return Estimates(match, sources=("match",), sample_rate=sample_rate, mixture=mixture, info=info)


class _Match(MonoSeparator):
    """One output of a model with queries of the user's, in segments as the model's own outputs."""

    sources = ("match",)

    def __init__(self, model: VQQuery, queries: Tensor, wanted: int) -> None:
        super().__init__()
        self.model, self.queries, self.wanted = model, queries, wanted
        self.sample_rate, self.segment_seconds = model.sample_rate, model.segment_seconds
        self.context_seconds = model.context_seconds

    def _separate_mono(self, mixture: Tensor) -> Tensor:
        return self.model.outputs(mixture, self.queries, [self.wanted])
