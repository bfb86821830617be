"""The `.soli` file."""

from __future__ import annotations

import struct
import tracemalloc
import zlib
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from rqvae_models import RATE, modern, noise, paper
from soli import disk, zoo
from soli.audio import read
from soli.codes import EncodedSong, decode_file, encode_file, read_codes, write_codes
from soli.codes.packing import code_bits, pack, packed_size, unpack
from soli.errors import SoliError
from soli.systems.rqvae.codec import CodecSeparator
from soli.systems.rqvae.separator import RQVAE
from soli.systems.rqvae.streaming import decode_stream, encode_stream
from tiny import CARD, Plain, TinyConfig


def made(codes: Tensor, **changes: Any) -> EncodedSong:
    values: dict[str, Any] = {
        "codes": codes,
        "model": "piccolo modèle",
        "sha256": "0123456789abcdef" * 4,
        "sources": ("bass", "drums")[: max(1, codes.shape[0])],
        "sample_rate": 22050,
        "n_samples": codes.shape[-1] * 1024 - 100,
        "samples_per_frame": 1024,
        "codebook_size": 1024,
    }
    return EncodedSong(**{**values, **changes})


def some(size: int = 1024, shape: tuple[int, int, int] = (2, 3, 7), seed: int = 0) -> Tensor:
    return torch.randint(size, shape, generator=torch.Generator().manual_seed(seed))


@given(
    size=st.integers(2, 5000) | st.sampled_from([2**16, 2**31 - 1, 2**31]),
    shape=st.tuples(st.integers(1, 2), st.integers(1, 5), st.integers(1, 40)),
    seed=st.integers(0, 9999),
)
@settings(deadline=None, max_examples=60)
def test_what_is_written_is_read(tmp_path_factory, size: int, shape: tuple[int, int, int], seed: int) -> None:
    path = tmp_path_factory.mktemp("codes") / "song.soli"
    codes = some(size, shape, seed)
    codes.view(-1)[-1] = size - 1
    song = made(codes, codebook_size=size)
    n_bytes = write_codes(path, song)
    again = read_codes(path)
    assert torch.equal(again.codes, codes)
    assert again.codes.dtype == torch.int64
    for name in [field.name for field in fields(song) if field.name != "codes"]:
        assert getattr(again, name) == getattr(song, name)
    assert n_bytes == path.stat().st_size
    payload = -(-codes.numel() * (size - 1).bit_length() // 8)
    assert 0 < n_bytes - payload < 120
    assert [entry.name for entry in path.parent.iterdir()] == ["song.soli"]


@pytest.mark.parametrize("size", [2, 3, 5, 1000, 1024, 1025, 4096, 2**31])
def test_bits_are_those_of_one_long_number(size: int) -> None:
    bits = code_bits(size)
    assert 2 ** (bits - 1) < size <= 2**bits
    codes = some(size, (1, 1, 70001)).flatten()  # more than a chunk
    text = "".join(f"{code:0{bits}b}" for code in codes.tolist())
    due = int(text + "0" * (-len(text) % 8), 2).to_bytes(-(-len(text) // 8), "big")
    packed = pack(codes.numpy(), bits)
    assert packed == due
    assert (unpack(packed, len(codes), bits) == codes.numpy()).all()


def test_the_layout_is_the_documented_one(tmp_path) -> None:
    song = made(some())
    write_codes(tmp_path / "a.soli", song)
    content = (tmp_path / "a.soli").read_bytes()
    names = b"\x0fpiccolo mod\xc3\xa8le\x04bass\x05drums"
    due = b"\x89soli\r\n\n" + struct.pack("<H", 1) + bytes.fromhex(song.sha256)
    due += struct.pack("<IQIHHIIB", 22050, 7 * 1024 - 100, 1024, 2, 3, 7, 1024, 2) + names
    due += pack(song.codes.flatten().numpy(), 10)
    assert content == due + struct.pack("<I", zlib.crc32(due))


def test_the_rate_is_that_of_the_codes() -> None:
    song = made(some(shape=(2, 12, 2150)))
    bits = len(pack(song.codes.flatten().numpy(), 10)) * 8
    assert song.bits_per_second == pytest.approx(bits / song.seconds, rel=1e-3)
    assert modern().bits_per_second == RATE / 128 * 3 * 5
    assert paper().bits_per_second == RATE / 16 * 3 * 5


def refused(path: Path, content: bytes) -> str:
    """The one line a file of this content gets."""
    path.write_bytes(content)
    with pytest.raises(SoliError) as caught:
        read_codes(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message


def test_any_changed_byte_is_noticed(tmp_path) -> None:
    write_codes(tmp_path / "whole.soli", made(some()))
    content = (tmp_path / "whole.soli").read_bytes()
    for place in range(len(content)):
        for change in (1, 255):
            damaged = bytearray(content)
            damaged[place] ^= change
            refused(tmp_path / "a.soli", bytes(damaged))


def test_any_missing_or_extra_end_is_noticed(tmp_path) -> None:
    write_codes(tmp_path / "whole.soli", made(some()))
    content = (tmp_path / "whole.soli").read_bytes()
    for length in range(1, len(content)):
        assert "truncated" in refused(tmp_path / "a.soli", content[:length])
    assert f"{len(content) + 1} bytes, its header announces {len(content)}" in refused(
        tmp_path / "a.soli", content + b"\0"
    )


def test_other_files_are_told_apart(tmp_path) -> None:
    path = tmp_path / "a.soli"
    soundfile.write(tmp_path / "a.wav", noise(1000).numpy(), RATE)
    assert "the file is empty" in refused(path, b"")
    for foreign in (b"x", b"not codes at all", (tmp_path / "a.wav").read_bytes()):
        assert "not a file of codes" in refused(path, foreign)
    write_codes(path, made(some()))
    content = bytearray(path.read_bytes()[:-4])
    content[8:10] = struct.pack("<H", 2)
    assert "format version 2; this soli reads version 1" in refused(path, signed(bytes(content)))
    for missing in (tmp_path / "missing.soli", tmp_path):
        with pytest.raises(SoliError, match="cannot be read"):
            read_codes(missing)


def signed(content: bytes) -> bytes:
    return content + struct.pack("<I", zlib.crc32(content))


def forged(path: Path, *, cut: bool = False, **changes: int) -> bytes:
    """A file whose header lies and whose checksum is right; `cut` leaves no more codes than it announces."""
    write_codes(path, made(some()))
    content = bytearray(path.read_bytes()[:-4])
    names = ("sample_rate", "n_samples", "frame", "n_sequences", "n_codebooks", "n_frames", "size", "n_sources")
    header = dict(zip(names, struct.unpack_from("<IQIHHIIB", content, 42), strict=True)) | changes
    struct.pack_into("<IQIHHIIB", content, 42, *header.values())
    if cut:
        due = header["n_sequences"] * header["n_codebooks"] * header["n_frames"] * code_bits(header["size"])
        del content[len(content) - packed_size(2 * 3 * 7, 10) + -(-due // 8) :]
    return signed(bytes(content))


@pytest.mark.parametrize(
    "changes",
    [
        {"n_frames": 2**32 - 1, "n_codebooks": 2**16 - 1},
        {"n_frames": 0},
        {"n_sequences": 0, "n_codebooks": 0},
        {"n_sources": 255},
        {"n_sequences": 3, "n_codebooks": 2},
        {"n_samples": 2**63},
        {"n_samples": 0},
        {"sample_rate": 0},
        {"frame": 0},
        {"size": 0},
        {"size": 1},
        {"size": 1, "n_frames": 2**32 - 1, "n_codebooks": 2**16 - 1},
        {"size": 1, "n_frames": 0},
        {"size": 1000},
        {"size": 2**32 - 1},
    ],
)
@pytest.mark.parametrize("cut", [False, True])
def test_a_lying_header_is_refused_before_it_costs_memory(tmp_path, changes: dict[str, int], cut: bool) -> None:
    path = tmp_path / "a.soli"
    content = forged(path, cut=cut, **changes)
    assert path.read_bytes() == forged(path)
    tracemalloc.start()
    refused(path, content)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**20


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"codes": some() - 1024}, "codes from -10"),
        ({"codes": some().int()}, "torch.int32"),
        ({"codes": some()[0]}, "codes [3, 7]"),
        ({"sources": ("a", "b", "c")}, "2 sequences of codes for 3 sources"),
        ({"sources": ("a", "b" * 256)}, "255 bytes"),
        ({"model": "a\nb"}, "printable"),
        ({"sha256": "abc"}, "64 hexadecimal"),
        ({"n_samples": 7 * 1024 + 1}, "7 frames of 1024 samples"),
        ({"n_samples": 5 * 1024}, "7 frames of 1024 samples"),
        ({"codebook_size": 500}, "allowed: 0 to 499"),
    ],
)
def test_what_makes_no_sense_is_refused(changes: dict[str, Any], part: str) -> None:
    with pytest.raises(SoliError) as caught:
        replace(made(some()), **changes)
    assert part in str(caught.value)


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch) -> None:
    path = tmp_path / "a.soli"
    write_codes(path, made(some()))
    before = path.read_bytes()

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(disk.os, "fsync", full)
    with pytest.raises(SoliError, match=r"a\.soli: cannot be written .*No space"):
        write_codes(path, made(some(seed=1)))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    separator = modern()
    separator.network.quantizer.ready.fill_(True)
    return zoo.save(separator, tmp_path_factory.mktemp("model") / "small", CARD)


def test_a_file_becomes_codes_and_stems(tmp_path, model: Path, monkeypatch) -> None:
    monkeypatch.setattr(RQVAE, "segment_seconds", 2.0)
    monkeypatch.setattr(RQVAE, "context_seconds", 0.5)
    mixture = noise(2, 4 * RATE)  # longer than a segment
    soundfile.write(tmp_path / "song.wav", mixture.T.numpy(), RATE, subtype="FLOAT")
    encoded = encode_file(tmp_path / "song.wav", tmp_path / "new" / "song.soli", model=model)
    song = read_codes(encoded.path)
    assert torch.equal(song.codes, encoded.song.codes)
    assert (song.model, song.sha256) == ("small", zoo.model_info(model).sha256)
    assert song.n_samples == 4 * RATE
    codec = zoo.load(model)
    assert isinstance(codec, CodecSeparator)
    codes, _ = encode_stream(codec, [mixture], RATE)
    assert (codes == song.codes).float().mean() > 0.999
    for levels in (None, 1):
        done = decode_file(encoded.path, tmp_path / f"stems{levels}", model=model, levels=levels)
        assert tuple(done.paths) == song.sources
        due = torch.cat(list(decode_stream(codec, song.codes[:, :levels], song.n_samples)), dim=-1)
        for source, stem in zip(song.sources, due, strict=True):
            written, rate = read(done.paths[source])
            assert rate == RATE
            torch.testing.assert_close(written, stem, atol=2**-15, rtol=0)


@pytest.mark.parametrize("output", ["song.wav/a.soli", f"{'x' * 246}.soli", f"{'x' * 300}/a.soli"])
def test_a_place_that_cannot_be_written_to_is_noticed_before_any_work(tmp_path, output: str) -> None:
    soundfile.write(tmp_path / "song.wav", noise(4000).numpy(), RATE)
    with pytest.raises(SoliError, match=r"\.soli: cannot be written") as caught:
        encode_file(tmp_path / "song.wav", tmp_path / output, model="none such")
    assert "\n" not in str(caught.value)
    with pytest.raises(SoliError, match="unknown model 'none such'"):
        encode_file(tmp_path / "song.wav", tmp_path / "new" / "a.soli", model="none such")
    assert list(tmp_path.iterdir()) == [tmp_path / "song.wav"]


def test_codes_of_other_weights_are_refused_by_name(tmp_path, model: Path) -> None:
    other = modern()
    other.network.quantizer.ready.fill_(True)
    other.network.to_latents.bias.data.add_(1.0)
    zoo.save(other, tmp_path / "other", CARD)
    soundfile.write(tmp_path / "song.wav", noise(4000).numpy(), RATE)
    path = encode_file(tmp_path / "song.wav", tmp_path / "song.soli", model=model).path
    with pytest.raises(SoliError) as caught:
        decode_file(path, tmp_path / "stems", model=tmp_path / "other")
    for part in (str(path), "'small'", str(tmp_path / "other"), *(zoo.model_info(m).sha256[:12] for m in (model,))):
        assert part in str(caught.value)
    config = (tmp_path / "other" / "config.json").read_text()
    assert zoo.model_info(tmp_path / "other").sha256[:12] in str(caught.value)
    (tmp_path / "other" / "model.safetensors").write_bytes((model / "model.safetensors").read_bytes())
    config = config.replace(zoo.model_info(tmp_path / "other").sha256, zoo.model_info(model).sha256)
    (tmp_path / "other" / "config.json").write_text(config.replace('"guitar"', '"banjo"'))
    with pytest.raises(SoliError, match=r"sources .*guitar.* differ from .*banjo"):
        decode_file(path, tmp_path / "stems", model=tmp_path / "other")
    assert not (tmp_path / "stems").exists()


def test_models_without_codes_are_refused(tmp_path, monkeypatch) -> None:
    soundfile.write(tmp_path / "song.wav", noise(4000).numpy(), RATE)
    zoo.save(modern(), tmp_path / "untrained", CARD)
    zoo.save(paper(bottleneck="vae"), tmp_path / "vae", CARD)
    monkeypatch.setattr(zoo, "SYSTEMS", {**zoo.SYSTEMS, ("tiny", "plain"): "tiny:Plain"})
    zoo.save(Plain(TinyConfig()), tmp_path / "plain", CARD)
    for name, part in (("untrained", "needs training"), ("vae", "has no codes"), ("plain", "has no codes")):
        with pytest.raises(SoliError, match=part):
            encode_file(tmp_path / "song.wav", tmp_path / "song.soli", model=tmp_path / name)
    assert not (tmp_path / "song.soli").exists()
