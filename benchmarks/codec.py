"""How evenly a codec uses its codes, and what they cost. Writes benchmarks/results/codec.{json,md}.

Every song of a dataset is encoded in chunks of twelve seconds, mono. For each source and level: the entropy of the
codes and their perplexity, the share of entries that never came up, and the share that the model's own statistic counts
as dead (used less than its threshold of late in training). The waveforms decoded from the codes are scored by
`soli evaluate codec:MODEL`.

    python benchmarks/codec.py rqvae twin/test_a
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from clips import RESULTS, find_clips, folder_name, machine, run, table, write_results
from torch import Tensor

from soli.audio.resampling import resample
from soli.data.tracks import Track
from soli.errors import SoliError
from soli.files import model_name
from soli.nn.quantize import ResidualQuantizer
from soli.systems.rqvae.codec import CodecSeparator
from soli.zoo import load, model_info

SECONDS = 12  # of a chunk


def main(arguments: argparse.Namespace) -> None:
    model = load(arguments.model)
    if not isinstance(model, CodecSeparator):
        raise SoliError(f"{arguments.model}: a model without codes; allowed: one of rqvae")
    quantizers = [module for module in model.modules() if isinstance(module, ResidualQuantizer)]
    tracks = find_clips(arguments.dataset, arguments.songs)
    chunks = [codes for track in tracks for codes in encoded(model, track)]
    if not chunks:
        raise SoliError(f"{arguments.dataset}: no song lasts {SECONDS} s; needed: one at least")
    codes = torch.cat(chunks, dim=-1)  # [S K N]
    size, seconds = model.codebook_size, SECONDS * len(chunks)
    frames = model.sample_rate / model.samples_per_frame
    rows, data = [], []
    names = model.sources if len(codes) > 1 else ("all sources",)
    for name, quantizer, levels in zip(names, quantizers, codes, strict=True):
        dead = quantizer.usage().dead / size
        for level, (found, share) in enumerate(zip(levels, dead.tolist(), strict=True), start=1):
            counts = torch.bincount(found, minlength=size)
            entropy = float(torch.distributions.Categorical(probs=counts.double()).entropy())  # in nats
            row = {"source": name, "level": level, "entropy_nats": entropy, "dead": share}
            row |= {"perplexity": torch.tensor(entropy).exp().item(), "unused": float((counts == 0).float().mean())}
            data.append(row)
            rows.append((name, level, entropy, f"{row['perplexity']:.0f}", percent(row["unused"]), percent(share)))
    bits = sum(row["entropy_nats"] for row in data) / torch.tensor(2.0).log().item()
    rate = model.bits_per_second / 1000
    summary = (
        f"{frames:.1f} frames a second, {codes.shape[1]} levels of {size} entries: {rate:.2f} kbit/s for each sequence;"
        f" {frames * bits / 1000 / len(codes):.2f} kbit/s by the entropies."
    )
    facts = {"name": model_name(arguments.model), "sha256": model_info(arguments.model).sha256}
    result = {"model": facts, "dataset": folder_name(arguments.dataset), "songs": len(tracks)}
    result |= {"seconds": seconds, "frames_per_second": frames, "codebook_size": size, "kbit_per_second": rate}
    where = f"{len(tracks)} songs of {result['dataset']}, {seconds} s in chunks."
    heading = f"# Codes of {facts['name']}\n\n{where} {summary}\n\n"
    columns = ("sequence", "level", "entropy, nats", "perplexity", "entries that never came up", "dead in training")
    write_results(arguments.output, result | {"machine": machine(), "levels": data}, heading + table(columns, rows))


@torch.inference_mode()
def encoded(model: CodecSeparator, track: Track) -> list[Tensor]:
    """Codes of the sum of the sources that the model separates, `[S K N]` of every whole chunk."""
    stems = [torch.from_numpy(track.submix(name)) for name in model.sources if name in track.labels]
    mixture = resample(torch.stack(stems).sum(dim=0).mean(dim=0, keepdim=True), track.sample_rate, model.sample_rate)
    length = SECONDS * model.sample_rate
    chunks = [chunk for chunk in mixture.split(length, dim=-1) if chunk.shape[-1] == length]
    return [model.encode(chunk, model.sample_rate)[0] for chunk in chunks]


def percent(share: float) -> str:
    """One digit."""
    return f"{100 * share:.1f} %"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="codec.py", description=__doc__)
    parser.add_argument("model")
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--songs", type=int)
    parser.add_argument("--output", type=Path, default=RESULTS / "codec.json")
    run(main, parser)
