"""Bidirectional LSTM stack over frames."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class RecurrentStack(nn.Module):
    """Stacked bidirectional LSTM with dropout between the layers.

    Weights start Xavier-normal and biases at zero, except the two forget-gate biases, which
    start at one each, so that the cells remember at first.

    Args:
        input_size: features of each frame.
        hidden_size: units in each direction.
        n_layers: depth.
        dropout: probability between layers.
    """

    def __init__(self, input_size: int, hidden_size: int, n_layers: int, dropout: float) -> None:
        super().__init__()
        self.output_size = 2 * hidden_size
        self.lstm = nn.LSTM(
            input_size,
            hidden_size,
            n_layers,
            batch_first=True,
            bidirectional=True,
            dropout=dropout if n_layers > 1 else 0.0,
        )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the initial values anew."""
        hidden_size = self.lstm.hidden_size
        for name, parameter in self.lstm.named_parameters():
            if "weight" in name:
                nn.init.xavier_normal_(parameter)
            else:
                nn.init.zeros_(parameter)
                with torch.no_grad():
                    parameter[hidden_size : 2 * hidden_size] = 1.0

    def forward(self, features: Tensor) -> Tensor:
        """Map frames `[B N input_size]` to `[B N 2 * hidden_size]`."""
        with torch.autocast(features.device.type, enabled=False):  # half precision slows an LSTM down on CPUs
            return self.lstm(features.float())[0]


def linear_head(input_size: int, output_size: int) -> nn.Linear:
    """Dense layer with Xavier-normal weights and zero biases."""
    head = nn.Linear(input_size, output_size)
    nn.init.xavier_normal_(head.weight)
    nn.init.zeros_(head.bias)
    return head
