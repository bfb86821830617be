"""RQTransformer (Lee et al. 2022): one transformer over frames, another over the codes of one frame.

The spatial transformer hears the latents that the codes of all earlier frames stand for, and gives each frame a state.
The depth transformer goes through the codes of the frame, stem by stem and within a stem from the first level to the
last; the order of the stems is free, so that those which are given can come before those which are wanted.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from soli.nn.transformer import CausalTransformer, Past
from soli.systems.rqvae.bottleneck import StemQuantizer
from soli.systems.rqvae.music.config import MusicConfig


class RQTransformer(nn.Module):
    """Probabilities of codes, given those before them.

    A code enters as the quantiser's own vector, which does not learn. It leaves by its product with that vector and a
    bias; both are zero at first, when all codes are equally likely.

    Args:
        config: sizes.
    """

    vectors: Tensor
    scales: Tensor

    def __init__(self, config: MusicConfig) -> None:
        super().__init__()
        codec = config.codec
        self.config, self.n_levels = config, codec.n_codebooks
        self.n_codes = codec.n_stems * codec.n_codebooks  # of a frame
        shape = (self.n_codes, codec.codebook_size, codec.latent_size)
        self.register_buffer("vectors", torch.zeros(shape), persistent=False)  # they are the codec's
        self.register_buffer("scales", torch.ones(self.n_codes), persistent=False)
        self.start = nn.Parameter(0.02 * torch.randn(config.n_features))
        self.from_latents = nn.Linear(codec.n_stems * codec.latent_size, config.n_features)
        self.spatial = CausalTransformer(config.n_features, config.n_layers, config.n_heads)
        width = config.depth_features
        self.to_depth = nn.Linear(config.n_features, width)
        self.places = nn.Parameter(0.02 * torch.randn(self.n_codes, width))
        self.enter = nn.Parameter(torch.randn(self.n_codes, codec.latent_size, width) * codec.latent_size**-0.5)
        self.depth = CausalTransformer(width, config.depth_layers, config.depth_heads)
        self.leave = nn.Parameter(torch.zeros(self.n_codes, width, codec.latent_size))
        self.bias = nn.Parameter(torch.zeros(self.n_codes * codec.codebook_size))

    @torch.no_grad()
    def take_vectors(self, quantizer: StemQuantizer) -> None:
        """Copy the entries of the codec's quantiser.

        Args:
            quantizer: with the sizes of the config.
        """
        books = [book.entries() for stem in quantizer.stems for book in stem.codebooks]
        self.vectors.copy_(torch.stack(books))
        self.scales.copy_(self.vectors.square().mean(dim=(1, 2)).sqrt().clamp(min=1e-6))

    @torch.no_grad()
    def expect(self, frequencies: Tensor) -> None:
        """Start from how often each code occurs, not from all alike.

        Args:
            frequencies: `[S K V]`, none of them zero; they sum to one over V.
        """
        self.bias.copy_(frequencies.log().flatten())

    def states(self, codes: Tensor) -> Tensor:
        """What the spatial transformer knows at each frame of the frames before it.

        Args:
            codes: `[B S K N]`, from any frame of a piece on.

        Returns:
            `[B N D]`; the last frame's codes are not used.
        """
        return self.spatial(self.frame_inputs(codes))

    def frame_inputs(self, codes: Tensor) -> Tensor:
        """Inputs of the spatial transformer: the learned start, then every frame's codes but the last's.

        Args:
            codes: `[B S K N]`.

        Returns:
            `[B N D]`.
        """
        start = self.start.expand(len(codes), 1, -1)
        return torch.cat((start, self.embedded(codes[..., :-1])), dim=1) if codes.shape[-1] > 1 else start

    def embedded(self, codes: Tensor) -> Tensor:
        """Frames as the spatial transformer hears them: a projection of the sum of their vectors, stem by stem.

        Args:
            codes: `[B S K N]`.

        Returns:
            `[B N D]`.
        """
        vectors = self._looked_up(codes.permute(0, 3, 1, 2)).unflatten(2, (-1, self.n_levels))
        return self.from_latents(vectors.sum(dim=3).flatten(2))

    def next_state(self, inputs: Tensor, past: list[Past] | None) -> tuple[Tensor, list[Past]]:
        """The state of the frame after some others.

        Args:
            inputs: of the frames since the last call, `[B N D]`, see `frame_inputs`.
            past: what the last call returned; None at the beginning.

        Returns:
            `[B D]`, and the past for the next call.
        """
        states, past = self.spatial.extend(inputs, past)
        return states[:, -1], past

    def nll(self, codes: Tensor, orders: Tensor, frames: Tensor) -> Tensor:
        """Negative log-likelihood of codes, in nats.

        Args:
            codes: `[B S K N]`.
            orders: of the stems inside a frame, for each item, `[B S]`.
            frames: which frames' codes are wanted, `[M]`.

        Returns:
            `[B S K M]`.
        """
        n_items, n_stems, n_levels = codes.shape[:3]
        states = self.states(codes)[:, frames].flatten(0, 1)
        rows = codes[..., frames].permute(0, 3, 1, 2).flatten(0, 1)  # [B*M S K]
        logits = self.logits(states, rows, orders.repeat_interleave(len(frames), dim=0))
        losses = F.cross_entropy(logits.flatten(0, 1).float(), rows.flatten(1).T.flatten(), reduction="none")
        return losses.view(n_stems, n_levels, n_items, len(frames)).permute(2, 0, 1, 3)

    def logits(self, states: Tensor, codes: Tensor, orders: Tensor) -> Tensor:
        """Logits of every code of some frames, each given the codes before it in the order of its frame.

        Args:
            states: of the frames, `[M D]`.
            codes: `[M S K]`.
            orders: of the stems, `[M S]`.

        Returns:
            `[S*K M V]`.
        """
        hidden = self.depth(self.code_inputs(states, codes, orders))
        return self.code_logits(_by_stem(hidden, orders.argsort(dim=1)))

    def code_inputs(self, states: Tensor, codes: Tensor, orders: Tensor) -> Tensor:
        """Inputs of the depth transformer: the frame's state, the place of the code to come, and the code before it.

        Args:
            states: `[M D]`.
            codes: `[M S K]`.
            orders: `[M S]`.

        Returns:
            `[M S*K D]`, in the order of the frame.
        """
        vectors = self._looked_up(codes) / self.scales[:, None]
        entered = torch.bmm(vectors.transpose(0, 1), self.enter).transpose(0, 1)  # [M S*K D]
        before = F.pad(_by_stem(entered, orders)[:, :-1], (0, 0, 1, 0))
        places = _by_stem(self.places.expand(len(codes), -1, -1), orders)
        return before + places + self.to_depth(states)[:, None]

    def code_logits(self, hidden: Tensor, code: int | None = None) -> Tensor:
        """Logits of codes.

        Args:
            hidden: what the depth transformer gives, `[M S*K D]`, or `[M 1 D]` of one code.
            code: which one that is; None for all of them.

        Returns:
            `[S*K M V]` or `[1 M V]`.
        """
        chosen = slice(None) if code is None else slice(code, code + 1)
        vectors = self.vectors[chosen] / self.scales[chosen, None, None]
        bias = self.bias.view(self.n_codes, 1, -1)[chosen]
        directions = torch.bmm(hidden.transpose(0, 1), self.leave[chosen])
        return torch.baddbmm(bias, directions, vectors.mT)

    def _looked_up(self, codes: Tensor) -> Tensor:
        """Vectors of codes `[... S K]`, as they are, `[... S*K E]`."""
        size = self.vectors.shape[1]
        places = size * torch.arange(self.n_codes, device=codes.device)
        return F.embedding(codes.flatten(-2) + places, self.vectors.flatten(0, 1))


def _by_stem(x: Tensor, orders: Tensor) -> Tensor:
    """Put the stems of frames in another order: `[M S*K D]` and `[M S]` -> `[M S*K D]`."""
    n_frames, n_stems = orders.shape
    rows = orders + n_stems * torch.arange(n_frames, device=orders.device)[:, None]
    blocks = x.reshape(n_frames * n_stems, -1)
    return blocks.index_select(0, rows.flatten()).view(x.shape)
