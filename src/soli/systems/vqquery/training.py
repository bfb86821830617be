"""What the modern preset learns from: unlabelled stems, and another excerpt of each.

Until the codes start, every stem is asked for by its own embedding. Then k-means on the embeddings seen of late gives
the codes, and for `blend_steps` the queries move from the embeddings to the codes.
"""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from soli.dsp.frames import analyse
from soli.dsp.scale import USUAL_LEVEL
from soli.errors import SoliError
from soli.losses import Task
from soli.systems.vqquery.losses import agreement, contrast, mask_sums, separation_losses
from soli.systems.vqquery.memory import Memory
from soli.systems.vqquery.separator import VQQuery

_SILENCE = 1e-10  # mean square


class Asked(NamedTuple):
    """What a batch is asked for.

    Attributes:
        queries: `[B M D]`.
        targets: how much of each stem belongs to each query, `[B M S]`.
        valid: which queries are asked, `[B M]`.
    """

    queries: Tensor
    targets: Tensor
    valid: Tensor


class VQQueryTask(Task[VQQuery]):
    """Losses of the modern preset.

    Args:
        separator: to train.
        quantized: queries are codes in the end; else each stem is asked for by its own embedding throughout, and the
            codes follow without being used.
        consistent: the target of a code is the sum of all stems that have it; else one of them.
        balance: how strongly all codes are to be used alike, 0 (each stem has the nearest) to 1.
        start_after: steps of the continuous warm-up; 0 starts the codes as soon as there are enough embeddings.
        blend_steps: over which queries move from embeddings to codes.
        memory: embeddings from which the codes start and over which they are balanced.
        contrast_weight: of the contrast within a song.
        agreement_weight: of the term that pulls both excerpts of a stem to its code.
        silence_weight: of the leakage of codes that are absent.
        temperature: of contrast and agreement.
        floor_db: error below which nothing more is to gain.

    Raises:
        SoliError: for a memory that is too small for the codes to start from, and a balance outside its range.
    """

    takes_multitracks: ClassVar[bool] = True
    finds_sources: ClassVar[bool] = True
    steps: Tensor
    started: Tensor

    def __init__(
        self,
        separator: VQQuery,
        *,
        quantized: bool = True,
        consistent: bool = True,
        balance: float = 0.5,
        start_after: int = 300,
        blend_steps: int = 300,
        memory: int = 1024,
        contrast_weight: float = 2.0,
        agreement_weight: float = 1.0,
        silence_weight: float = 0.3,
        temperature: float = 0.1,
        floor_db: float = -30.0,
    ) -> None:
        super().__init__()
        if memory < separator.config.codebook_size:
            raise SoliError(f"task.memory = {memory}; allowed: at least {separator.config.codebook_size}, one a code")
        if not 0 <= balance <= 1:
            raise SoliError(f"task.balance = {balance}; allowed: 0 to 1")
        self.separator = separator
        self.quantized, self.consistent, self.balance = quantized, consistent, balance
        self.start_after, self.blend_steps = start_after, blend_steps
        self.weights = {"contrast": contrast_weight, "agreement": agreement_weight, "silence": silence_weight}
        self.temperature, self.floor_db = temperature, floor_db
        self.memory = Memory(memory, separator.config.code_size)
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))
        self.register_buffer("started", torch.zeros((), dtype=torch.int64))

    def losses(self, stems: Tensor) -> dict[str, Tensor]:
        """Terms whose sum is minimised.

        Args:
            stems: stems of the mixtures and an example of each, `[B 2 S C T]`; mixed down to mono, silent where there
                is no stem.

        Returns:
            `error` and `silence` (dB), `contrast` and, once there are codes, `agreement` (nats), weighted.
        """
        sounding, examples = stems.mean(dim=3).unbind(dim=1)  # [B S T]
        level = sounding.sum(dim=1).square().mean(dim=-1)[:, None, None].sqrt() / USUAL_LEVEL + 1e-6
        sounding = sounding / level
        present = (sounding.square().mean(dim=-1) > _SILENCE) & (examples.square().mean(dim=-1) > _SILENCE)
        if not present.any():  # nothing to learn from, but a graph for whoever asks for gradients
            return {"error": 0.0 * torch.stack([p.sum() for p in self.separator.parameters()]).sum()}
        embedded = self.separator.network.encoder(torch.cat((sounding[present], examples[present])))
        heard, asked = embedded.chunk(2)
        songs = present.nonzero()[:, 0]
        terms = {"contrast": contrast(heard, asked, songs, temperature=self.temperature)}
        codes = self._codes(heard.detach(), asked.detach())
        if codes is not None:
            vectors = self.separator.network.categories.vectors()
            both = torch.cat((codes, codes))
            terms["agreement"] = agreement(embedded, vectors, both, temperature=self.temperature)
        error, terms["silence"] = self._separation(sounding, self._ask(asked, codes, present))
        return {"error": error} | {name: self.weights[name] * value for name, value in terms.items()}

    def _codes(self, heard: Tensor, asked: Tensor) -> Tensor | None:
        """The codes of stems `[M]`; None until there are any. In training mode they also learn."""
        categories = self.separator.network.categories
        rows = F.normalize(heard + asked, dim=-1)
        if not self.training:
            return categories.assign(rows) if bool(categories.ready) else None
        self.steps += 1
        if not bool(categories.ready):
            self.memory.add(rows)
            if int(self.steps) < self.start_after or not self.memory.full:
                return None
            categories.start(self.memory.held())
            self.started.copy_(self.steps)
        codes = categories.learn(rows, self.memory.held(), balance=self.balance)
        self.memory.add(rows)
        return codes

    def _ask(self, asked: Tensor, codes: Tensor | None, present: Tensor) -> Asked:
        """Queries by stem, or by code.

        Args:
            asked: embeddings of the examples, `[M D]`.
            codes: of the stems, `[M]`.
            present: where these are, `[B S]`.

        Returns:
            Queries, targets, and which count.
        """
        own = asked.new_zeros(*present.shape, asked.shape[-1])
        own[present] = asked
        if codes is None or not self.quantized:
            places = torch.eye(present.shape[1], device=asked.device).expand(len(present), -1, -1)
            return Asked(own, places * present[:, None], present)
        vectors = self.separator.network.categories.vectors()
        which = codes.new_full(present.shape, -1)
        which[present] = codes
        member = (which[:, None] == torch.arange(len(vectors), device=asked.device)[:, None]).to(own.dtype)  # [B N S]
        if not self.consistent:
            member = member * (member.cumsum(dim=-1) == 1)
        counts = member.sum(dim=-1, keepdim=True)
        mean = member @ own / counts.clamp(min=1)
        entries = vectors.expand_as(mean)
        blended = torch.where(counts > 0, entries + self._blend() * (mean - entries), entries)
        straight = blended.detach() + mean - mean.detach()
        return Asked(straight, member, torch.ones_like(counts[..., 0], dtype=torch.bool))

    def _blend(self) -> float:
        """The share of the embeddings in the queries: from 1, when the codes start, down to 0."""
        passed = int(self.steps) - int(self.started)
        return max(0.0, 1 - passed / self.blend_steps) if self.blend_steps else 0.0

    def _separation(self, stems: Tensor, asked: Asked) -> tuple[Tensor, Tensor]:
        """Error and leakage of stems `[B S T]`."""
        network, config = self.separator.network, self.separator.config
        found = network.describe(stems.sum(dim=1))
        logits = network.logits(found.bins, asked.queries)
        shares = logits.masked_fill(~asked.valid[..., None, None], -torch.inf).softmax(dim=1)
        with torch.autocast(stems.device.type, enabled=False):
            spectrograms = analyse(stems, config.n_fft, config.hop_length)
            flat = torch.view_as_real(spectrograms).flatten(2)
            targets = torch.view_as_complex((asked.targets @ flat).unflatten(-1, (*spectrograms.shape[2:], 2)))
            return separation_losses(mask_sums(shares, found.spectrogram, targets), asked.valid, floor_db=self.floor_db)
