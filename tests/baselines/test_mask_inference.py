from __future__ import annotations

import torch

from soli.baselines.mask_inference import MaskInference, MaskInferenceConfig
from soli.baselines.mask_inference_training import MaskInferenceTask
from soli.systems.classcond.paper import ClassCondPaper, ClassCondPaperConfig
from soli.testing import check_separator

TINY = {"sample_rate": 8000, "n_fft": 512, "hop_length": 128, "n_mels": 40, "hidden_size": 16, "n_layers": 2}


def test_parameter_count_is_that_of_the_released_code():
    separator = MaskInference(MaskInferenceConfig())
    assert sum(parameter.numel() for parameter in separator.parameters()) == 8_660_400


def test_starts_from_the_trunk_of_the_embedding_network():
    torch.manual_seed(3)
    baseline = MaskInference(MaskInferenceConfig(**TINY))
    torch.manual_seed(3)
    system = ClassCondPaper(ClassCondPaperConfig(**TINY))
    for first, second in zip(baseline.trunk.parameters(), system.trunk.parameters(), strict=True):
        assert torch.equal(first, second)


def test_separator_keeps_its_contract():
    torch.manual_seed(0)
    check_separator(MaskInference(MaskInferenceConfig(**TINY)).eval(), longest_seconds=3.0)


def test_training_lowers_the_loss():
    torch.manual_seed(0)
    task = MaskInferenceTask(MaskInference(MaskInferenceConfig(**TINY)))
    optimizer = torch.optim.Adam(task.parameters(), lr=1e-2)
    seconds = torch.arange(4000) / 8000
    tones = torch.stack([torch.sin(2 * torch.pi * frequency * seconds) for frequency in (150, 500, 1400, 3000)])
    stems = tones[None, :, None]  # [B S C T]
    history = []
    for _ in range(30):
        (loss,) = task.losses(stems).values()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        history.append(loss.item())
    assert history[-1] < 0.8 * history[0]
