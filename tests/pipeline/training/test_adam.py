"""Our Adam against torch's."""

import pytest
import torch

from pipeline.training.adam import Adam


def descend(weight_decay: float, steps: int = 20) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """The same gradients to both; one of them transposed in memory, as matrix products return them."""
    source = torch.Generator().manual_seed(0)
    start = {"weight": torch.randn(3, 5, 7, generator=source), "bias": torch.randn(3, 5, generator=source)}
    ours = {name: value.clone() for name, value in start.items()}
    theirs = [value.clone().requires_grad_() for value in start.values()]
    adam = Adam(ours, weight_decay)
    optimiser = torch.optim.Adam(theirs, lr=0.1, weight_decay=weight_decay, foreach=False)
    for step in range(steps):
        rate = 0.1 * 0.9**step
        gradients = [torch.randn(3, 7, 5, generator=source).transpose(1, 2), torch.randn(3, 5, generator=source)]
        adam.step(gradients, rate)
        optimiser.param_groups[0]["lr"] = rate
        for value, gradient in zip(theirs, gradients, strict=True):
            value.grad = gradient.clone()
        optimiser.step()
    return list(ours.values()), [value.detach() for value in theirs]


@pytest.mark.parametrize("weight_decay", [0.0, 0.01])
def test_steps_are_those_of_torch(weight_decay: float) -> None:
    for one, other in zip(*descend(weight_decay), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


def test_restored_state_goes_on_as_if_never_stopped() -> None:
    source = torch.Generator().manual_seed(0)
    gradients = [[torch.randn(2, 3, generator=source)] for _ in range(6)]
    whole, first = {"weight": torch.ones(2, 3)}, {"weight": torch.ones(2, 3)}
    adam, before = Adam(whole, 0.0), Adam(first, 0.0)
    for gradient in gradients:
        adam.step(gradient, 0.1)
    for gradient in gradients[:3]:
        before.step(gradient, 0.1)
    after = Adam(first, 0.0)
    after.restore({name: value.clone() for name, value in before.state().items()})
    for gradient in gradients[3:]:
        after.step(gradient, 0.1)
    assert torch.equal(whole["weight"], first["weight"])
