"""Axis legend and shape aliases used by every annotation in soli.

Axes always come in this order:

====  ==========================  ====  =======================
B     batch                       F     frequency bins
S     sources                     N     frames
C     channels                    D     features (embedding)
T     samples                     K     bands or codebooks
====  ==========================  ====  =======================
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jaxtyping import Complex, Float
    from torch import Tensor

    Waveform = Float[Tensor, "*batch channels samples"]
    Stems = Float[Tensor, "*batch sources channels samples"]
    Spectrogram = Complex[Tensor, "*batch channels frequency frames"]
    Magnitude = Float[Tensor, "*batch channels frequency frames"]
