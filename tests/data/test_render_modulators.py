from __future__ import annotations

import pytest

from soli.data.render.modulators import ATTENUATION, DEFAULTS, moved, velocity_shapes_tone

CUTOFF = 8


def test_by_default_velocity_is_a_gain_by_its_square() -> None:
    for velocity in (1, 17, 64, 100, 127):
        gain = 10 ** (-moved(DEFAULTS, 60, velocity)[ATTENUATION] / 200)
        assert gain == pytest.approx(max((velocity / 127) ** 2, 10 ** (-960 / 200)), rel=1e-6)


@pytest.mark.parametrize(
    ("source", "low", "middle", "high"),
    [
        (0x0002, 0.0, 0.5, 1.0),  # linear
        (0x0102, 1.0, 0.5, 0.0),  # falling
        (0x0202, -1.0, 0.0, 1.0),  # bipolar
        (0x0302, 1.0, 0.0, -1.0),
        (0x0C02, 0.0, 1.0, 1.0),  # switch, on from the middle
        (0x0402, 0.0, 0.125, 1.0),  # concave: 5/12 lg 2 at the middle
        (0x0802, 0.0, 0.875, 1.0),  # convex mirrors it
    ],
)
def test_sources_go_from_end_to_end_by_their_curve(source: int, low: float, middle: float, high: float) -> None:
    for velocity, share in ((0, low), (64, middle), (127, high)):
        assert moved({(source, CUTOFF, 0): 1000}, 60, velocity)[CUTOFF] == pytest.approx(1000 * share, abs=12)
    by_key = source + 1
    assert moved({(by_key, CUTOFF, 0): 1000}, 127, 5)[CUTOFF] == pytest.approx(1000 * high)


def test_what_nobody_moves_adds_nothing_and_amounts_multiply() -> None:
    for source in (0x0081, 0x0582, 0x000E, 0x0000):
        assert moved({(source, CUTOFF, 0): 1000}, 60, 100).get(CUTOFF, 0.0) == 0.0
    both = moved({(0x0002, CUTOFF, 0x0003): 1000}, 127, 127)
    assert both[CUTOFF] == pytest.approx(1000)
    assert moved({(0x0002, CUTOFF, 0x0003): 1000}, 0, 127)[CUTOFF] == 0.0


def test_only_velocity_on_more_than_the_level_shapes_the_tone() -> None:
    assert not velocity_shapes_tone(DEFAULTS)
    assert not velocity_shapes_tone({(0x0003, CUTOFF, 0): 1000, (0x0102, CUTOFF, 0): 0, (0x0082, CUTOFF, 0): 9})
    assert velocity_shapes_tone({(0x0102, CUTOFF, 0): -2400})
