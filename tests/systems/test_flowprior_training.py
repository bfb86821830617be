"""What the priors of the modern preset learn from, and what they do not."""

from __future__ import annotations

import torch
from torch import Tensor

from flowprior_bands import tiny, tones
from soli.systems.flowprior.training import FlowPriorTask


def gradients(stems: Tensor, part: str, index: int, **weights: float) -> list[Tensor]:
    """Of the flow or the extractor of one prior, after one batch."""
    separator = tiny()
    with torch.no_grad():
        generator = torch.Generator().manual_seed(1)
        for parameter in separator.parameters():
            parameter += 0.02 * torch.randn(parameter.shape, generator=generator)
    task = FlowPriorTask(separator, **weights).train()
    torch.manual_seed(2)
    torch.stack(list(task(stems).values())).sum().backward()
    found = [p.grad for p in getattr(separator.priors[index], part).parameters() if p.grad is not None]
    assert sum(float(gradient.abs().sum()) for gradient in found) > 0
    return found


def test_a_silent_mixture_teaches_nothing() -> None:
    music = tones()[None]
    both = gradients(torch.cat((music, torch.zeros_like(music))), "extractor", 0, flow_weight=0.0)
    alone = gradients(music, "extractor", 0, flow_weight=0.0)
    for one, other in zip(both, alone, strict=True):
        torch.testing.assert_close(2 * one, other, rtol=1e-3, atol=1e-5)  # a mean over the batch


def test_losses_of_silence_are_finite() -> None:
    losses = FlowPriorTask(tiny()).train()(torch.zeros(2, 3, 1, 8000))
    assert all(loss.isfinite() for loss in losses.values())


def test_noise_of_a_flow_does_not_depend_on_the_other_instrument() -> None:
    stems = torch.stack((tones(seed=0), tones(seed=1)))
    silent = stems.clone()
    silent[0, 0] = 0
    due, found = (gradients(each, "flow", 1, extractor_weight=0.0) for each in (stems, silent))
    for one, other in zip(found, due, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)  # levels are rounded differently


def test_flows_hear_single_precision_under_autocast() -> None:
    heard: list[Tensor] = []
    task = FlowPriorTask(tiny(), extractor_weight=0.0).train()
    for prior in task.separator.priors:
        prior.flow.register_forward_pre_hook(lambda _module, inputs: heard.append(inputs[0]))
    for enabled in (False, True):
        torch.manual_seed(0)
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            task(tones()[None])
    assert all(bands.dtype == torch.float32 for bands in heard)
    for one, other in zip(heard[:2], heard[2:], strict=True):
        torch.testing.assert_close(one, other)
