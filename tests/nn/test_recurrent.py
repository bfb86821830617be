from __future__ import annotations

import torch

from soli.nn.recurrent import RecurrentStack, linear_head


def test_forget_gates_start_at_one_and_other_biases_at_zero():
    stack = RecurrentStack(6, 5, 2, 0.0)
    biases = [value for name, value in stack.lstm.named_parameters() if "bias" in name]
    assert len(biases) == 8  # input and recurrent, two directions, two layers
    for bias in biases:
        assert torch.equal(bias, torch.cat((torch.zeros(5), torch.ones(5), torch.zeros(10))))


def test_weights_have_the_xavier_deviation():
    stack = RecurrentStack(100, 100, 1, 0.0)
    expected = (2 / (100 + 400)) ** 0.5
    torch.testing.assert_close(stack.lstm.weight_ih_l0.std().item(), expected, rtol=0.05, atol=0)
    head = linear_head(100, 400)
    torch.testing.assert_close(head.weight.std().item(), expected, rtol=0.05, atol=0)
    assert not head.bias.any()


def test_every_frame_hears_the_past_and_the_future():
    stack = RecurrentStack(3, 4, 2, 0.0)
    features = torch.randn(1, 9, 3, requires_grad=True)
    stack(features)[0, 4].sum().backward()
    assert (features.grad[0].abs().sum(dim=1) > 0).all()
