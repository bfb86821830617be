"""How likely does a model find real music, and how like that is its own? Writes benchmarks/results/music.{json,md}.

Likelihood: nats per code of songs it has not heard, by level, beside the entropy of codes whose frequency in training
is all that is known, and beside ln V. This is sound: the codes are the same for all rows, and lower is better.

Distance: the Fréchet distance of windows of 3 s from real ones, where a window is the mean, the deviation and the mean
change over 23 ms and over 186 ms of 24 logarithmic mel bands of the mix. Everything, the real music included, has been
through the codec. The distance tells noise from music and sees timbre, level, density and onsets; it does not see
harmony, metre or form, nor whether stems fit one another beyond what their sum shows, and it depends on the number of
windows. So it is worth something only beside its controls: real music of other songs (as good as it gets), the same
with its frames shuffled in time, and codes drawn one by one by their frequency.

    python benchmarks/music.py MODEL --train FILE.codes.safetensors --data FOLDER
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from clips import RESULTS, find_clips, folder_name, machine, run, table, write_results
from torch import Tensor

from soli.audio import resample
from soli.data.tracks import Track
from soli.dsp.mel import mel_filterbank
from soli.dsp.stft import stft
from soli.errors import SoliError
from soli.evaluation.metrics.frechet import frechet_distance
from soli.systems.rqvae.music.sampling import WANTED, Sampling, complete
from soli.systems.rqvae.music.separator import RQVAEMusic
from soli.systems.rqvae.streaming import encode_stream
from soli.training.code_sets import Songs, frequencies, read_codes
from soli.training.music import level_nll
from soli.zoo import load

N_MELS, N_FFT, HOP = 24, 2048, 512
LAGS = (1, 8)
WINDOW_SECONDS = 3.0


def main(arguments: argparse.Namespace) -> None:
    torch.set_num_threads(arguments.threads)
    model = load(arguments.model, arguments.device)
    if not isinstance(model, RQVAEMusic):
        raise SoliError(f"{arguments.model} makes no music")
    train = read_codes(arguments.train)
    usual = frequencies(train, model.config.codec.codebook_size)
    tracks = unheard(find_clips(arguments.data, arguments.limit), train)
    songs = {track.name: encode(model, track) for track in tracks}
    nll = level_nll(model.transformer, songs, usual, every=arguments.every)
    print(nll.line(), flush=True)
    sampling = Sampling(temperature=arguments.temperature, top_k=arguments.top_k, top_p=arguments.top_p)
    sets = pieces(model, list(songs.values()), usual, sampling, arguments)
    embedded = {name: embeddings(model, codes) for name, codes in sets.items()}
    reference = embedded.pop("reference")
    distances = {name: float(frechet_distance(reference, found)) for name, found in embedded.items()}
    data = {
        "model": folder_name(Path(arguments.model)) if Path(arguments.model).is_dir() else arguments.model,
        "data": folder_name(arguments.data),
        "machine": machine(),
        "nats_per_code": {"model": nll.model.tolist(), "unigram": nll.unigram.tolist(), "uniform": nll.uniform},
        "sampling": vars(sampling),
        "seed": arguments.seed,
        "piece_seconds": arguments.seconds,
        "n_pieces": len(sets["reference"]),
        "n_windows": len(reference),
        "frechet": distances,
    }
    write_results(arguments.output, data, as_markdown(data, len(songs)))


def unheard(tracks: list[Track], train: Songs) -> list[Track]:
    """Refuse songs of the training, and fewer than two: one half of them is held against the other."""
    heard = {name.partition("/")[2] for name in train}  # behind the collection
    for track in tracks:
        if track.split == "train" or track.name in heard:
            raise SoliError(f"{track.name} is a song of the training; allowed: songs that the model has not heard")
    if len(tracks) < 2:
        raise SoliError(f"songs to measure on: {len(tracks)}; allowed: 2 or more")
    return tracks


def encode(model: RQVAEMusic, track: Track) -> Tensor:
    """The sum of a track's stems that the codec knows, as codes `[S K N]`."""
    known = [label for label in model.sources if label in track.labels or label in track.silent]
    mixture = resample(torch.from_numpy(track.submix(*known)), track.sample_rate, model.sample_rate)
    return encode_stream(model.codec, [mixture], model.sample_rate)[0].short()


def pieces(
    model: RQVAEMusic, songs: list[Tensor], usual: Tensor, sampling: Sampling, arguments: argparse.Namespace
) -> dict[str, Tensor]:
    """Equally many pieces of codes `[M S K N]` of each kind; the reference is every other song."""
    dice = torch.Generator().manual_seed(arguments.seed)
    n_frames = round(arguments.seconds * model.config.codec.frames_per_second)
    halves = [
        torch.cat(
            [song[..., : song.shape[-1] // n_frames * n_frames].unflatten(-1, (-1, n_frames)) for song in half], 2
        )
        for half in (songs[::2], songs[1::2])
    ]
    n_pieces = min(arguments.pieces, *(half.shape[2] for half in halves))
    reference, other = (
        half.movedim(2, 0)[torch.randperm(half.shape[2], generator=dice)[:n_pieces]].long() for half in halves
    )
    shuffled = torch.stack([piece[..., torch.randperm(n_frames, generator=dice)] for piece in other])
    unigram = torch.multinomial(usual.flatten(0, 1), n_pieces * n_frames, replacement=True, generator=dice)
    unigram = unigram.view(*usual.shape[:2], n_pieces, n_frames).movedim(2, 0)
    blank = torch.full_like(reference, WANTED, device=model.transformer.bias.device)
    batches = enumerate(blank.split(arguments.batch_size))
    made = [complete(model.transformer, batch, sampling, arguments.seed + index).cpu() for index, batch in batches]
    return {
        "reference": reference,
        "generated": torch.cat(made),
        "real, other songs": other,
        "the same, shuffled in time": shuffled,
        "codes by frequency": unigram,
    }


def embeddings(model: RQVAEMusic, codes: Tensor) -> Tensor:
    """Codes `[M S K N]` -> windows `[M' D]`."""
    device = model.transformer.bias.device
    return torch.cat(
        [embed(model.codec.decode(piece[None].to(device))[0].sum(0).cpu(), model.sample_rate) for piece in codes]
    )


def embed(mix: Tensor, sample_rate: int) -> Tensor:
    """A waveform `[1 T]` -> its windows `[M D]`; each begins half a window after the one before."""
    power = stft(mix[0], N_FFT, HOP).abs().square().double()
    mel = 10 * torch.log10(mel_filterbank(sample_rate, N_FFT, N_MELS) @ power + 1e-6)  # [K N]
    length = round(WINDOW_SECONDS * sample_rate / HOP)
    windows = mel.unfold(-1, length, length // 2)  # [K M N]
    changes = [(windows[..., lag:] - windows[..., :-lag]).abs().mean(dim=-1) for lag in LAGS]
    return torch.cat([windows.mean(dim=-1), windows.std(dim=-1), *changes]).T


def as_markdown(data: dict, n_songs: int) -> str:
    """Two tables."""
    nats, levels = data["nats_per_code"], range(len(data["nats_per_code"]["model"]))
    rows = [(f"{level + 1}", nats["model"][level], nats["unigram"][level], nats["uniform"]) for level in levels]
    means = (sum(nats[name]) / len(levels) for name in ("model", "unigram"))
    drawn = ", ".join(f"{name} {value:g}" for name, value in data["sampling"].items())
    return (
        f"# Music\n\n`{data['model']}` on {n_songs} songs of {data['data']}, in nats per code.\n\n"
        + table(("level", "model", "unigram", "ln V"), [*rows, ("mean", *means, nats["uniform"])])
        + f"\nFréchet distance of {data['n_pieces']} pieces of {data['piece_seconds']:g} s from real ones,"
        + f" {data['n_windows']} windows; seed {data['seed']}, {drawn}.\n\n"
        + table(("pieces", "distance"), list(data["frechet"].items()))
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", metavar="MODEL", help="a name or folder for soli.load")
    parser.add_argument(
        "--train", type=Path, required=True, help="codes of the training songs, as soli train leaves them"
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of any layout with songs it has not heard")
    parser.add_argument("--limit", type=int, help="only the first songs")
    parser.add_argument("--every", type=int, default=4, help="likelihood of one frame in so many")
    parser.add_argument("--pieces", type=int, default=64, help="of each kind")
    parser.add_argument("--seconds", type=float, default=12.0, help="of a piece")
    parser.add_argument("--batch-size", type=int, default=16, help="pieces generated together")
    parser.add_argument("--temperature", type=float, default=1.0)
    parser.add_argument("--top-k", type=int, default=0)
    parser.add_argument("--top-p", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--output", type=Path, default=RESULTS / "music.json")
    run(main, parser)
