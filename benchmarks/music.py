"""How likely does a model find real music, and how like that is its own? Writes benchmarks/results/music.{json,md}.

Likelihood: nats per code of excerpts from songs it has not heard, as long as its memory, by level, beside the entropy
of codes whose frequency in training is all that is known, and beside ln V. This is sound: the codes are the same for
all rows, and lower is better.

Distance: the Fréchet distance of windows of 3 s from those of the training songs. A window is the mean, the deviation
and the mean change over 23 ms and over 186 ms of 24 logarithmic mel bands of the mix, relative to the piece's level;
of these 96 numbers the 8 principal axes of the training songs are kept, each scaled to unit variance. Everything, the
real music included, has been through the codec. Each kind has as many pieces of one length as there are unheard songs,
because few songs make the distance larger than it is; the error is the jackknife's, with one song left out at a time.

The distance sees timbre, density and onsets; it does not see harmony, metre or form, nor whether stems fit one another
beyond what their sum shows. It is worth something only beside its controls: real songs that were not heard (as good as
it gets), the same with their frames shuffled in time, and codes drawn one by one by their frequency. The unheard songs
must be of the same kinds as the training songs, in like shares.

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
FLOOR = 1e-3  # of the mean power of a piece
N_AXES = 8


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
    n_frames = round(arguments.seconds * model.config.codec.frames_per_second)
    sampling = Sampling(temperature=arguments.temperature, top_k=arguments.top_k, top_p=arguments.top_p)
    sets = pieces(model, middles(songs, n_frames), usual, sampling, arguments.seed)
    reference = embeddings(model, middles(train, n_frames))
    axes = Axes(reference)
    distances = {name: distance(axes(reference), axes(embeddings(model, codes))) for name, codes in sets.items()}
    data = {
        "model": folder_name(Path(arguments.model)) if Path(arguments.model).is_dir() else arguments.model,
        "data": folder_name(arguments.data),
        "machine": machine(),
        "nats_per_code": {"model": nll.model.tolist(), "unigram": nll.unigram.tolist(), "uniform": nll.uniform},
        "sampling": vars(sampling),
        "seed": arguments.seed,
        "piece_seconds": arguments.seconds,
        "n_reference_songs": len(reference),
        "n_pieces": len(sets["generated"]),
        "n_windows": reference.shape[1],
        "frechet": {name: {"distance": value, "error": error} for name, (value, error) in distances.items()},
    }
    write_results(arguments.output, data, as_markdown(data, len(songs)))


def unheard(tracks: list[Track], train: Songs) -> list[Track]:
    """Refuse songs of the training, and fewer than two: from one the error is not known."""
    heard = {name.partition("/")[2] for name in train}  # behind the collection
    for track in tracks:
        if track.split == "train" or track.name in heard:
            raise SoliError(f"{track.name} is a song of the training; allowed: songs that the model has not heard")
    if len(tracks) < 2:
        raise SoliError(f"songs to measure on: {len(tracks)}; allowed: 2 or more")
    return tracks


def encode(model: RQVAEMusic, track: Track) -> Tensor:
    """The middle of a track, as long as the model's memory, as codes `[S K N]` of the stems that the codec knows."""
    known = [label for label in model.sources if label in track.labels or label in track.silent]
    seconds = model.config.n_frames / model.config.codec.frames_per_second
    length = min(round(seconds * track.sample_rate), track.n_samples)
    sound = torch.from_numpy(track.submix(*known, start=(track.n_samples - length) // 2, n_samples=length))
    codes, _ = encode_stream(model.codec, [resample(sound, track.sample_rate, model.sample_rate)], model.sample_rate)
    return codes[..., : model.config.n_frames]


def middles(songs: Songs, n_frames: int) -> Tensor:
    """A piece `[S K N]` from the middle of each song that is long enough, `[M S K N]`."""
    starts = {name: (codes.shape[-1] - n_frames) // 2 for name, codes in songs.items()}
    found = [songs[name][..., start : start + n_frames].long() for name, start in starts.items() if start >= 0]
    if len(found) < 2:
        longest = max(songs, key=lambda name: songs[name].shape[-1])
        hint = f"the longest, {longest}, has {songs[longest].shape[-1]}; take fewer --seconds"
        raise SoliError(f"songs of {n_frames} frames or more: {len(found)}; allowed: 2 or more; {hint}")
    return torch.stack(found)


def pieces(model: RQVAEMusic, real: Tensor, usual: Tensor, sampling: Sampling, seed: int) -> dict[str, Tensor]:
    """Real pieces `[M S K N]`, and as many of each other kind."""
    dice = torch.Generator().manual_seed(seed)
    n_pieces, n_frames = len(real), real.shape[-1]
    shuffled = torch.stack([piece[..., torch.randperm(n_frames, generator=dice)] for piece in real])
    unigram = torch.multinomial(usual.flatten(0, 1), n_pieces * n_frames, replacement=True, generator=dice)
    blank = torch.full_like(real, WANTED, device=model.transformer.bias.device)
    return {
        "generated": complete(model.transformer, blank, sampling, seed).cpu(),
        "real, unheard songs": real,
        "the same, shuffled in time": shuffled,
        "codes by frequency": unigram.view(*usual.shape[:2], n_pieces, n_frames).movedim(2, 0),
    }


def embeddings(model: RQVAEMusic, codes: Tensor) -> Tensor:
    """Pieces `[M S K N]` -> the windows of each, `[M W D]`."""
    device = model.transformer.bias.device
    played = (model.codec.decode(piece[None].to(device))[0].sum(0).cpu() for piece in codes)
    return torch.stack([embed(mix, model.sample_rate) for mix in played])


def embed(mix: Tensor, sample_rate: int) -> Tensor:
    """A waveform `[1 T]` -> its windows `[W D]`; each begins half a window after the one before."""
    power = mel_filterbank(sample_rate, N_FFT, N_MELS) @ stft(mix[0], N_FFT, HOP).abs().square().double()  # [K N]
    mel = 10 * torch.log10(power / power.mean().clamp(min=1e-12) + FLOOR)
    length = round(WINDOW_SECONDS * sample_rate / HOP)
    windows = mel.unfold(-1, length, length // 2)  # [K W N]
    changes = [(windows[..., lag:] - windows[..., :-lag]).abs().mean(dim=-1) for lag in LAGS]
    return torch.cat([windows.mean(dim=-1), windows.std(dim=-1), *changes]).T


class Axes:
    """The principal axes of windows `[M W D]` whose features are scaled to unit variance; called, it projects others.

    Along each of them the windows that it was made of have unit variance.
    """

    def __init__(self, windows: Tensor) -> None:
        flat = windows.flatten(0, 1)
        self.mean, self.deviation = flat.mean(dim=0), flat.std(dim=0).clamp(min=1e-6)
        _, values, axes = torch.linalg.svd((flat - self.mean) / self.deviation, full_matrices=False)
        self.axes = axes[:N_AXES].T * len(flat) ** 0.5 / values[:N_AXES].clamp(min=1e-6)

    def __call__(self, windows: Tensor) -> Tensor:
        return (windows - self.mean) / self.deviation @ self.axes


def distance(reference: Tensor, found: Tensor) -> tuple[float, float]:
    """Fréchet distance of the windows of songs `[M W D]`, and its standard error by the jackknife over songs."""
    total, variance = frechet_distance(reference.flatten(0, 1), found.flatten(0, 1)), torch.zeros(()).double()
    for which, songs in enumerate((reference, found)):
        values = []
        for left_out in range(len(songs)):
            sets = [reference.flatten(0, 1), found.flatten(0, 1)]
            sets[which] = torch.cat((songs[:left_out], songs[left_out + 1 :])).flatten(0, 1)
            values.append(frechet_distance(*sets))
        variance += (len(songs) - 1) * torch.stack(values).var(correction=0)
    return float(total), float(variance.sqrt())


def as_markdown(data: dict, n_songs: int) -> str:
    """Two tables."""
    nats, levels = data["nats_per_code"], range(len(data["nats_per_code"]["model"]))
    rows = [(f"{level + 1}", nats["model"][level], nats["unigram"][level], nats["uniform"]) for level in levels]
    means = (sum(nats[name]) / len(levels) for name in ("model", "unigram"))
    drawn = ", ".join(f"{name} {value:g}" for name, value in data["sampling"].items())
    return (
        f"# Music\n\n`{data['model']}` on excerpts of {n_songs} songs of {data['data']}, in nats per code.\n\n"
        + table(("level", "model", "unigram", "ln V"), [*rows, ("mean", *means, nats["uniform"])])
        + f"\nFréchet distance of {data['n_pieces']} pieces of {data['piece_seconds']:g} s, {data['n_windows']} windows"
        + f" each, from {data['n_reference_songs']} training songs; seed {data['seed']}, {drawn}.\n\n"
        + table(("pieces", "distance", "±"), [(name, *found.values()) for name, found in data["frechet"].items()])
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
    parser.add_argument("--seconds", type=float, default=6.0, help="of a piece")
    parser.add_argument("--temperature", type=float, default=1.0)
    parser.add_argument("--top-k", type=int, default=0)
    parser.add_argument("--top-p", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--output", type=Path, default=RESULTS / "music.json")
    run(main, parser)
