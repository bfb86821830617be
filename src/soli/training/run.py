"""From a recipe to a trained model folder: the builder that `soli train` calls."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from soli import zoo
from soli.config import from_dict, load_toml
from soli.data.build import DataSource, open_caches
from soli.data.cache import Cache
from soli.data.mixing import Mixer, MixingConfig, MultitrackConfig, MultitrackMixer, batches
from soli.devices import Precision, resolve_precision
from soli.errors import SoliError
from soli.evaluation.metrics import sdr_global
from soli.losses import Task
from soli.training.fit import FitConfig, fit
from soli.training.held_out import held_out
from soli.training.named_codes import name_codes
from soli.training.processes import first_alone, own_share

TASKS = {
    ("classcond", "modern"): "soli.systems.classcond.training:ClassCondTask",
    ("classcond", "paper"): "soli.systems.classcond.paper_training:PaperTask",
    ("mask_inference", "paper"): "soli.baselines.mask_inference_training:MaskInferenceTask",
    ("open_unmix", "paper"): "soli.baselines.open_unmix_training:OpenUnmixTask",
    ("wave_unet", "paper"): "soli.baselines.waveform_training:WaveformTask",
    ("conv_tasnet", "paper"): "soli.baselines.waveform_training:WaveformTask",
    ("demucs", "paper"): "soli.baselines.waveform_training:WaveformTask",
    ("diffusion", "paper"): "soli.baselines.diffusion.training:DiffusionTask",
    ("gan_prior", "paper"): "soli.baselines.gan_prior.training:GANPriorTask",
    ("flowprior", "modern"): "soli.systems.flowprior.training:FlowPriorTask",
    ("flowprior", "paper"): "soli.systems.flowprior.paper_training:InstGlowTask",
    ("latentcluster", "modern"): "soli.systems.latentcluster.training:LatentClusterTask",
    ("latentcluster", "slots"): "soli.systems.latentcluster.slots_training:LatentSlotsTask",
    ("latentcluster", "paper"): "soli.systems.latentcluster.paper_training:LatentClusterPaperTask",
    ("vqquery", "modern"): "soli.systems.vqquery.training:VQQueryTask",
    ("vqquery", "paper"): "soli.systems.vqquery.paper_training:VQQueryPaperTask",
    ("rqvae", "modern"): "soli.systems.rqvae.training:RQVAETask",
    ("rqvae", "paper"): "soli.systems.rqvae.paper_training:RQVAEPaperTask",
}
"""(system, preset) -> the class of its training task."""

CALIBRATIONS = {("flowprior", "modern"): "soli.systems.flowprior.calibration"}
"""(system, preset) -> the module whose `calibrate` makes a trained separator's answers probabilities."""

MUSIC = ("rqvae", "music")
"""Learns from codes, not from mixtures: its recipe is read and run by `soli.training.music`."""


def _ignore(line: str) -> None:
    """Nobody asked for a report."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A training, as its TOML file states it.

    Attributes:
        system: name of the system.
        preset: `"paper"` or `"modern"`.
        output: folder for checkpoints, log and the exported model.
        cache: folder for the decoded audio; built from `data` when it holds no cache yet.
        data: where the audio lies.
        model: overrides of the system's config.
        task: overrides of the task's weights.
        mixing: how mixtures are drawn.
        multitracks: how mixtures of unlabelled stems are drawn, for systems that learn from these; `mixing` then says
            nothing.
        training: how to optimise.
        initial: model folder whose weights to start from, if any.
        threads: of the CPU.
    """

    system: str
    preset: str
    output: str
    cache: str
    data: tuple[DataSource, ...]
    model: dict[str, Any] = field(default_factory=dict)
    task: dict[str, Any] = field(default_factory=dict)
    mixing: MixingConfig = field(default_factory=MixingConfig)
    multitracks: MultitrackConfig | None = None
    training: FitConfig = field(default_factory=FitConfig)
    initial: str = ""
    threads: int = 0

    @property
    def drawn(self) -> MixingConfig | MultitrackConfig:
        """How its mixtures are drawn."""
        return self.multitracks or self.mixing


def load_recipe(path: Path, overrides: list[str]) -> Recipe:
    """Read a recipe and check every key and value before any work starts.

    Args:
        path: TOML file.
        overrides: `key=value`, dots reaching into tables.

    Returns:
        The recipe.

    Raises:
        SoliError: for an unknown key, a wrong value or an unknown system.
    """
    recipe = from_dict(Recipe, load_toml(path, overrides))
    if (recipe.system, recipe.preset) not in TASKS:
        known = ", ".join("/".join(key) for key in (*TASKS, MUSIC))
        raise SoliError(f"nothing to train for {recipe.system}/{recipe.preset}; known: {known}")
    return recipe


def run_recipe(
    path: Path,
    overrides: list[str],
    resume: bool,
    *,
    report: Callable[[str], None] = _ignore,
    on_step: Callable[[int, int, dict[str, float]], None] | None = None,
) -> Path:
    """Train what a recipe says and export the model.

    Args:
        path: TOML file.
        overrides: `key=value`, dots reaching into tables.
        resume: go on from the last checkpoint.
        report: called with lines about the data being decoded.
        on_step: called after every step with its number, the number of steps in all, and the losses.

    Returns:
        The exported model's folder.
    """
    table = load_toml(path, overrides)
    if (table.get("system"), table.get("preset")) == MUSIC:
        from soli.training.music import run_music

        return run_music(path, overrides, resume, report=report, on_step=on_step)
    recipe = load_recipe(path, overrides)
    trained = train_recipe(recipe, resume, report=report, on_step=on_step)
    folder = Path(recipe.output) / "model"
    if own_share().is_first:
        zoo.save(trained.separator, folder, card(recipe, path, trained))
    return folder


def train_recipe(
    recipe: Recipe,
    resume: bool,
    *,
    report: Callable[[str], None] = _ignore,
    on_step: Callable[[int, int, dict[str, float]], None] | None = None,
) -> Task:
    """Train what a recipe says, and calibrate the separator where its system has that.

    Args:
        recipe: read and checked.
        resume: go on from the last checkpoint.
        report: called with lines about the data being decoded.
        on_step: called after every step with its number, the number of steps in all, and the losses.

    Returns:
        The task with its final weights.
    """
    if recipe.threads:
        torch.set_num_threads(recipe.threads)
    torch.manual_seed(recipe.training.seed)
    task = build_task(recipe)
    calibration = import_module(CALIBRATIONS[key]) if (key := (recipe.system, recipe.preset)) in CALIBRATIONS else None
    if calibration:
        calibration.check_length(task.separator.config, recipe.drawn.segment_seconds)
    n_channels = 1 if recipe.drawn.mono else 2
    sample_rate = task.separator.sample_rate
    with first_alone():
        caches = open_caches(Path(recipe.cache), recipe.data, report, sample_rate=sample_rate, n_channels=n_channels)
    mixer = mixer_of(recipe, caches)
    trained = fit(
        task,
        _stream(mixer, recipe.training),
        recipe.training,
        Path(recipe.output),
        validate=None
        if task.finds_sources
        else validation(caches, recipe.mixing.sources, precision=recipe.training.precision),
        resume=resume,
        on_step=on_step and (lambda step, values: on_step(step, recipe.training.steps, values)),
    )
    if calibration and own_share().is_first:
        calibration.calibrate(trained.separator, held_out(caches, recipe.mixing, recipe.training.seed, report))
    if isinstance(mixer, MultitrackMixer) and own_share().is_first:
        name_codes(trained.separator, caches, recipe.drawn.segment_seconds)
    return trained


def mixer_of(recipe: Recipe, caches: list[Cache]) -> Mixer:
    """What draws the mixtures of a recipe.

    Args:
        recipe: of stems by class, or of multitracks.
        caches: to draw from.

    Returns:
        The mixer.
    """
    if recipe.multitracks:
        return MultitrackMixer(caches, recipe.multitracks, seed=recipe.training.seed)
    return Mixer(caches, recipe.mixing, seed=recipe.training.seed)


def build_task(recipe: Recipe) -> Task:
    """The task of a recipe, its separator freshly initialised or loaded from `initial`.

    Args:
        recipe: names system, preset and overrides.

    Returns:
        The task.

    Raises:
        SoliError: for an unknown key in `[model]` or `[task]`, or a model that does not fit the mixtures.
    """
    key = (recipe.system, recipe.preset)
    separator_class, task_class = _resolve(zoo.SYSTEMS[key]), _resolve(TASKS[key])
    config = from_dict(separator_class.Config, recipe.model, where="model")
    separator = zoo.load(recipe.initial) if recipe.initial else separator_class(config)
    if task_class.takes_multitracks != (recipe.multitracks is not None):
        key, other = ("multitracks", "mixing") if task_class.takes_multitracks else ("mixing", "multitracks")
        raise SoliError(f"{recipe.system}/{recipe.preset} learns from [{key}]; allowed: that table, and no [{other}]")
    if not task_class.finds_sources:
        _check_sources(separator.sources, recipe.mixing.sources, takes_bank=task_class.takes_bank)
    try:
        return task_class(separator.train(), **recipe.task)
    except TypeError as error:
        raise SoliError(f"[task] of this recipe does not fit {task_class.__name__} ({error})") from error


def validation(caches: list[Cache], mixed: tuple[str, ...], *, precision: Precision) -> Callable[[Task], float] | None:
    """Score on the validation songs of the caches: minus the median SDR over songs, averaged over sources.

    Args:
        caches: whose validation split is used whole.
        mixed: the classes that sound in the mixtures.
        precision: as trained.

    Returns:
        A function from task to score, or None when the caches hold no validation songs.
    """
    songs = [_song(cache, stems) for cache in caches for _, stems in cache.tracks("validation")]
    if not songs:
        return None

    @torch.no_grad()
    def score(task: Task) -> float:
        values = []
        separator = task.separator
        device = next(separator.parameters()).device
        for song in songs:
            silence = torch.zeros_like(next(iter(song.values())))
            stems = torch.stack([song.get(name, silence) for name in mixed]).to(device)
            references = stems[: len(separator.sources)]  # the others are interference
            with torch.autocast(device.type, torch.bfloat16, enabled=resolve_precision(precision, device) == "bf16"):
                estimates = separator.separate(stems.sum(dim=0), separator.sample_rate).stems
            values.append(sdr_global(references, estimates))
        return -float(torch.stack(values).nanmedian(dim=0).values.nanmean())

    return score


def card(recipe: Recipe, path: Path, trained: Task) -> str:
    """A model card that says what the weights were trained on and how.

    Args:
        recipe: what was run.
        path: of the recipe.
        trained: the task with its final weights.

    Returns:
        Markdown.
    """
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
    seconds = recipe.training.steps * recipe.training.batch_size * recipe.drawn.segment_seconds
    return f"""---
licence: not stated
summary: {recipe.system} ({recipe.preset}), trained on {", ".join(source.collection for source in recipe.data)}
---

# {recipe.system} ({recipe.preset})

Sources: {", ".join(trained.separator.sources)}.

Trained with `soli train {path.name}` (SHA-256 of the recipe {digest}…): {recipe.training.steps} steps of
{recipe.training.batch_size} mixtures of {recipe.drawn.segment_seconds:g} s, {seconds / 3600:.1f} hours of mixtures.

Licence, data and metrics are for whoever publishes these weights to state.
"""


def _check_sources(own: tuple[str, ...], mixed: tuple[str, ...], *, takes_bank: bool) -> None:
    if own != (mixed[: len(own)] if takes_bank else mixed):
        first = " first" if takes_bank else ""
        raise SoliError(f"mixing.sources = {list(mixed)}; the model has {list(own)}{first}")


def _stream(mixer: Mixer, config: FitConfig) -> Callable[[int], Iterator[Tensor]]:
    def start(first: int) -> Iterator[Tensor]:
        return batches(mixer, batch_size=config.batch_size, first=first, n_workers=config.n_workers, share=own_share())

    return start


def _song(cache: Cache, stems: list[Any]) -> dict[str, Tensor]:
    longest = max(stem.n_samples for stem in stems)
    return {stem.label: torch.from_numpy(cache.read(stem, 0, longest)) for stem in stems}


def _resolve(name: str) -> Any:
    module, attribute = name.split(":")
    return getattr(import_module(module), attribute)
