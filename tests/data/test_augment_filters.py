from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from soli.data.augment import EQUALISER_HZ, Room, colour, filter_size, filter_stems, rooms

SAMPLE_RATE = 44100
SIZE = SAMPLE_RATE
WHOLE: dict[str, Any] = {"bandwidth": SAMPLE_RATE / 2, "sample_rate": SAMPLE_RATE}
ROOM = Room(seconds=0.6, wet_db=-6.0, delay=0.01, seed=3)


def noise(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def levels(equaliser_db: list[tuple[float, ...]], tilt_db: list[float], frequencies: list[int]) -> np.ndarray:
    """Measured on noise: output over input in dB, `[S, frequency]`; at this size bins are 1 Hz apart."""
    stems = noise(len(tilt_db), 2, SIZE)
    out = filter_stems(stems, [colour(equaliser_db, tilt_db, SIZE, SAMPLE_RATE)], size=SIZE, **WHOLE)
    ratio = torch.fft.rfft(out).abs() / torch.fft.rfft(stems).abs()
    torch.testing.assert_close(ratio[:, 0, 1:-1], ratio[:, 1, 1:-1], rtol=1e-2, atol=1e-3)
    return 20 * np.log10(ratio[:, 0, frequencies].numpy())


def impulse_response(room: Room, n_channels: int = 2) -> np.ndarray:
    size = filter_size(4 * SAMPLE_RATE, 1.0, SAMPLE_RATE)
    impulse = torch.zeros(1, n_channels, 4 * SAMPLE_RATE)
    impulse[..., 0] = 1.0
    response = rooms([room], n_channels, size, SAMPLE_RATE)
    return filter_stems(impulse, [response], size=size, **WHOLE)[0].double().numpy()


def test_a_tilt_is_a_straight_line_over_octaves() -> None:
    frequencies = [30, 125, 500, 1000, 2000, 8000, 16000]
    slopes = [1.5, -0.7, 0.0]
    due = np.outer(slopes, np.log2(np.array(frequencies) / 1000))
    np.testing.assert_allclose(levels([(), (), ()], slopes, frequencies), due, atol=0.02)


def test_an_equaliser_is_a_straight_line_between_its_knots() -> None:
    knots = (5.0, -4.0, 3.0, 0.0, -2.0)
    at_knots = levels([knots, ()], [0.0, 0.0], [int(knot) for knot in EQUALISER_HZ])
    np.testing.assert_allclose(at_knots[0], knots, atol=0.02)
    np.testing.assert_allclose(at_knots[1], 0.0, atol=0.02)
    between = levels([knots], [0.0], [20, 500, 2000, 20000])  # half-way in octaves, and beyond the ends
    np.testing.assert_allclose(between[0], [5.0, -0.5, 1.5, -2.0], atol=0.02)


def test_equaliser_and_tilt_add_up_in_decibels() -> None:
    knots, frequencies = (1.0, 2.0, 3.0, 4.0, 5.0), [100, 700, 5000]
    both = levels([knots], [0.5], frequencies)
    np.testing.assert_allclose(both, levels([knots], [0.0], frequencies) + levels([()], [0.5], frequencies), atol=0.02)


def test_nothing_is_left_above_the_bandwidth_and_all_below_it() -> None:
    stems = noise(2, 1, SIZE)
    before = torch.fft.rfft(stems).abs()
    after = torch.fft.rfft(filter_stems(stems, [], size=SIZE, bandwidth=7600.0, sample_rate=SAMPLE_RATE)).abs()
    assert after[..., 7601:].max() < 1e-4 * before.max()
    torch.testing.assert_close(after[..., :7601], before[..., :7601], rtol=1e-3, atol=1e-2)


@pytest.mark.parametrize("seconds", [0.2, 0.6, 1.0])
def test_the_tail_falls_by_sixty_decibels_in_its_time(seconds: float) -> None:
    room = Room(seconds=seconds, wet_db=0.0, delay=0.0, seed=1)
    tail = impulse_response(room)
    tail[:, 0] = 0.0
    remaining = 10 * np.log10(np.cumsum((tail**2).sum(axis=0)[::-1])[::-1] + 1e-20)  # Schroeder's integral
    remaining -= remaining[0]
    early, late = (int((remaining > level).sum()) for level in (-5.0, -35.0))  # T30
    assert 2 * (late - early) / SAMPLE_RATE == pytest.approx(seconds, rel=0.05)
    assert remaining[round(1.1 * seconds * SAMPLE_RATE)] < -55


def test_the_direct_sound_stays_and_the_tail_has_its_delay_and_energy() -> None:
    response = impulse_response(ROOM)
    np.testing.assert_allclose(response[:, 0], 1.0, atol=1e-3)
    before, after = response[:, 1:430], response[:, 441:]
    assert np.abs(before).max() < 1e-3
    assert 10 * np.log10((after**2).sum(axis=1).mean()) == pytest.approx(-6.0, abs=0.1)


def test_a_room_has_its_own_tail_for_each_channel_and_seed() -> None:
    left, right = impulse_response(ROOM)[:, 441:]
    assert abs(np.corrcoef(left, right)[0, 1]) < 0.05
    other = impulse_response(Room(seconds=0.6, wet_db=-6.0, delay=0.01, seed=4))[0, 441:]
    assert abs(np.corrcoef(left, other)[0, 1]) < 0.05
    np.testing.assert_array_equal(left, impulse_response(ROOM)[0, 441:])


def test_a_tail_does_not_come_round_to_the_beginning() -> None:
    n_samples = 30000
    size = filter_size(n_samples, ROOM.delay + ROOM.seconds, SAMPLE_RATE)
    impulse = torch.zeros(1, 2, n_samples)
    impulse[..., -1000] = 1.0
    out = filter_stems(impulse, [rooms([ROOM], 2, size, SAMPLE_RATE)], size=size, **WHOLE)
    assert out.shape == impulse.shape
    assert out[..., :20000].abs().max() < 1e-5
    assert out[..., -500:].abs().max() > 1e-3


def test_only_the_stems_that_have_a_room_sound_in_it() -> None:
    stems = noise(2, 2, 20000)
    size = filter_size(20000, 0.61, SAMPLE_RATE)
    out = filter_stems(stems, [rooms([None, ROOM], 2, size, SAMPLE_RATE)], size=size, **WHOLE)
    torch.testing.assert_close(out[0], stems[0], atol=1e-5, rtol=0)
    assert (out[1] - stems[1]).abs().max() > 0.1


@pytest.mark.parametrize("n_samples", [1, 1000, 141120, 220500])
def test_transforms_have_room_for_the_tail_and_small_factors(n_samples: int) -> None:
    assert filter_size(n_samples, 0.0, SAMPLE_RATE) == n_samples
    size = filter_size(n_samples, 0.7, SAMPLE_RATE)
    assert n_samples + 30870 <= size <= 1.05 * (n_samples + 33075)
    for factor in (2, 3, 5, 7):
        while size % factor == 0:
            size //= factor
    assert size == 1
