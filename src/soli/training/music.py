"""From a recipe to a model that plays a codec's codes; `soli train` comes here for preset `music`."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from soli import zoo
from soli.config import from_dict, load_toml, to_dict
from soli.data.build import DataSource, open_caches
from soli.devices import Precision, resolve_precision
from soli.errors import SoliError
from soli.losses import Task
from soli.systems.rqvae.codec import CodecSeparator
from soli.systems.rqvae.music.codec import as_codec, quantizer_of, refer
from soli.systems.rqvae.music.config import CodecReference, MusicConfig
from soli.systems.rqvae.music.network import RQTransformer
from soli.systems.rqvae.music.separator import RQVAEMusic
from soli.systems.rqvae.music.training import MusicTask
from soli.training.code_sets import Songs, batches, frequencies, open_codes
from soli.training.fit import FitConfig, fit
from soli.training.processes import first_alone, own_share


@dataclass(frozen=True, kw_only=True)
class MusicRecipe:
    """A training on codes, as its TOML file states it.

    Attributes:
        system: `rqvae`.
        preset: `music`.
        output: folder for checkpoints, log and the exported model.
        cache: folder for the decoded audio and its codes; both are made when they are not there yet.
        codec: a bundled name or a model folder.
        data: where the audio lies.
        model: overrides of the model's config.
        task: overrides of the task's settings.
        training: how to optimise; a batch is so many crops of `model.n_frames`.
        n_songs: at most so many of each collection to train on; 0 for all.
        validation_songs: at most so many of each collection to validate on; 0 for all.
        threads: of the CPU.
    """

    system: str
    preset: str
    output: str
    cache: str
    codec: str
    data: tuple[DataSource, ...]
    model: dict[str, Any] = field(default_factory=dict)
    task: dict[str, Any] = field(default_factory=dict)
    training: FitConfig = field(default_factory=FitConfig)
    n_songs: int = 0
    validation_songs: int = 16
    threads: int = 0

    def __post_init__(self) -> None:
        for name in ("n_songs", "validation_songs", "threads"):
            if getattr(self, name) < 0:
                raise SoliError(f"{name} = {getattr(self, name)}; allowed: 0 or more")


class LevelNLL(NamedTuple):
    """Nats per code, mean over stems and frames, for each level `[K]`.

    Attributes:
        model: of the transformer.
        unigram: when only the frequency of each code in training is known.
        uniform: ln V.
    """

    model: Tensor
    unigram: Tensor
    uniform: float

    def line(self) -> str:
        """For people."""
        levels = " ".join(f"{value:.2f}/{other:.2f}" for value, other in zip(self.model, self.unigram, strict=True))
        mean, other = float(self.model.mean()), float(self.unigram.mean())
        return f"nll {mean:.3f} of unigram {other:.3f} and ln V {self.uniform:.3f}; by level {levels}"


def load_music_recipe(path: Path, overrides: list[str]) -> MusicRecipe:
    """Read a recipe and check every key and value before any work starts.

    Args:
        path: TOML file.
        overrides: `key=value`, dots reaching into tables.

    Returns:
        The recipe.

    Raises:
        SoliError: for an unknown key or a wrong value.
    """
    return from_dict(MusicRecipe, load_toml(path, overrides))


def run_music(
    path: Path,
    overrides: list[str],
    resume: bool,
    *,
    report: Callable[[str], None],
    on_step: Callable[[int, int, dict[str, float]], None] | None = None,
) -> Path:
    """Train what a recipe says and export the model.

    Args:
        path: TOML file.
        overrides: `key=value`, dots reaching into tables.
        resume: go on from the last checkpoint.
        report: called with lines about the data being prepared and each validation.
        on_step: called after every step with its number, the number of steps in all, and the losses.

    Returns:
        The exported model's folder.
    """
    recipe = load_music_recipe(path, overrides)
    if recipe.threads:
        torch.set_num_threads(recipe.threads)
    config, folder = recipe.training, Path(recipe.output) / "model"
    codec = as_codec(zoo.load(recipe.codec, "auto"), recipe.codec)
    sha256 = zoo.model_info(recipe.codec).sha256
    name = recipe.codec if recipe.codec in zoo.BUNDLED else os.path.relpath(recipe.codec, folder)
    torch.manual_seed(config.seed)
    task = build_music_task(recipe, codec, refer(codec, name, sha256))
    with first_alone():
        train = _songs(recipe, codec, sha256, "train", recipe.n_songs, report)
    if not train:
        names = ", ".join(source.collection for source in recipe.data) or "none"
        raise SoliError(f"no song to train on; collections in this recipe: {names}")
    with first_alone():
        heard = _songs(recipe, codec, sha256, "validation", recipe.validation_songs, report)
    usual = frequencies(train, task.separator.config.codec.codebook_size)
    task.separator.transformer.expect(usual)
    crop = task.separator.config.n_frames

    def validate(averaged: Task) -> float:
        measured = level_nll(averaged.separator.transformer, heard, usual, every=8, precision=config.precision)
        report(measured.line())
        return float(measured.model.mean())

    trained = fit(
        task,
        lambda first: batches(
            train, crop, batch_size=config.batch_size, seed=config.seed, first=first, share=own_share()
        ),
        config,
        Path(recipe.output),
        validate=validate if heard else None,
        resume=resume,
        on_step=on_step and (lambda step, values: on_step(step, config.steps, values)),
    )
    model = trained.separator
    if own_share().is_first:
        zoo.save(model, folder, _card(recipe, path, model, train))
    return folder


def build_music_task(recipe: MusicRecipe, codec: CodecSeparator, reference: CodecReference) -> MusicTask:
    """The task of a recipe, its model freshly initialised.

    Args:
        recipe: names the overrides.
        codec: whose vectors the codes stand for.
        reference: to this codec.

    Returns:
        The task.

    Raises:
        SoliError: for an unknown key in `[model]` or `[task]`.
    """
    if "codec" in recipe.model:
        raise SoliError("unknown key 'model.codec'; the codec stands at the top of the recipe")
    config = from_dict(MusicConfig, {**recipe.model, "codec": to_dict(reference)}, where="model")
    model = RQVAEMusic(config)
    model.transformer.take_vectors(quantizer_of(codec))
    try:
        return MusicTask(model.train(), **recipe.task)
    except TypeError as error:
        raise SoliError(f"[task] of this recipe does not fit MusicTask ({error})") from error


@torch.no_grad()
def level_nll(
    network: RQTransformer, songs: Songs, usual: Tensor, *, every: int = 1, precision: Precision = "no"
) -> LevelNLL:
    """Likelihood of songs under a model, on consecutive crops as long as its memory.

    The stems of a frame come in an order that changes from crop to crop, the same whenever this is called.

    Args:
        network: in evaluation mode.
        songs: of a split.
        usual: how often each code occurs in training, `[S K V]`.
        every: measured on one frame in so many.
        precision: as trained.

    Returns:
        By level.

    Raises:
        SoliError: when there is no song.
    """
    device, crop = network.bias.device, network.config.n_frames
    n_stems, sums = usual.shape[0], torch.zeros(2, *usual.shape[:2])
    n_crops = n_measured = 0
    for codes in (piece.long() for song in songs.values() for piece in song.split(crop, dim=-1)):
        frames = torch.arange(min(n_crops % every, codes.shape[-1]), codes.shape[-1], every)
        if not len(frames):
            continue
        order = torch.arange(n_stems, device=device).roll(n_crops)
        with torch.autocast(device.type, torch.bfloat16, enabled=resolve_precision(precision, device) == "bf16"):
            nll = network.nll(codes[None].to(device), order[None], frames.to(device))[0]
        sums[0] += nll.sum(dim=-1).cpu()
        sums[1] -= usual.log().gather(-1, codes[..., frames]).sum(dim=-1)
        n_measured, n_crops = n_measured + len(frames), n_crops + 1
    if not n_measured:
        raise SoliError("no song to measure the likelihood of")
    model, unigram = (sums / n_measured).mean(dim=1)
    return LevelNLL(model, unigram, math.log(usual.shape[-1]))


def _songs(
    recipe: MusicRecipe, codec: CodecSeparator, sha256: str, split: str, n_songs: int, report: Callable[[str], None]
) -> dict[str, Tensor]:
    """The codes of all collections."""
    folder, songs = Path(recipe.cache), {}
    caches = open_caches(folder, recipe.data, report, sample_rate=codec.sample_rate, n_channels=1)
    for source, cache in zip(recipe.data, caches, strict=True):
        content = hashlib.sha256((cache.folder / "index.json").read_bytes()).hexdigest()  # other audio has other codes
        path = folder / f"{source.collection}-{split}-{sha256[:12]}-{content[:8]}.codes.safetensors"
        songs |= open_codes(path, codec, cache, split, n_songs, report)
    return songs


def _card(recipe: MusicRecipe, path: Path, model: RQVAEMusic, train: Songs) -> str:
    """A model card that says what the weights were trained on and how."""
    training, config = recipe.training, model.config
    seconds = training.steps * training.batch_size * config.n_frames / config.codec.frames_per_second
    hours = sum(codes.shape[-1] for codes in train.values()) / config.codec.frames_per_second / 3600
    return f"""---
licence: not stated
summary: rqvae (music), trained on {", ".join(source.collection for source in recipe.data)}
---

# rqvae (music)

Stems: {", ".join(model.sources)}. Plays the codes of `{recipe.codec}` (SHA-256 {config.codec.sha256[:12]}…).

Trained with `soli train {path.name}`: {training.steps} steps of {training.batch_size} crops of
{config.n_frames} frames, {seconds / 3600:.1f} hours of music out of {len(train)} songs of {hours:.1f} hours.

Licence, data and metrics are for whoever publishes these weights to state.
"""
