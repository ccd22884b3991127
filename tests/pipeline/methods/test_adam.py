"""Our Adam against torch's."""

import pytest
import torch

from pipeline.methods.adam import Adam


def descend(weight_decay: float, steps: int = 20) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """The same gradients to both; one of them transposed in memory, as matrix products return them."""
    source = torch.Generator().manual_seed(0)
    start = {"weight": torch.randn(5, 7, generator=source), "bias": torch.randn(5, generator=source)}
    ours = {name: value.clone().requires_grad_() for name, value in start.items()}
    theirs = [value.clone().requires_grad_() for value in start.values()]
    adam = Adam(ours, weight_decay)
    optimiser = torch.optim.Adam(theirs, lr=0.1, weight_decay=weight_decay, foreach=False)
    for step in range(steps):
        adam.learning_rate = optimiser.param_groups[0]["lr"] = 0.1 * 0.9**step
        gradients = [torch.randn(7, 5, generator=source).T, torch.randn(5, generator=source)]
        for parameters in (ours.values(), theirs):
            for value, gradient in zip(parameters, gradients, strict=True):
                value.grad = gradient.clone() if value.dim() == 1 else gradient
        adam.step()
        optimiser.step()
    return [value.detach() for value in ours.values()], [value.detach() for value in theirs]


@pytest.mark.parametrize("weight_decay", [0.0, 0.01])
def test_steps_are_those_of_torch(weight_decay: float) -> None:
    for one, other in zip(*descend(weight_decay), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


def test_a_parameter_without_a_gradient_stays_and_keeps_its_own_count() -> None:
    used, idle = (torch.ones(3, requires_grad=True) for _ in range(2))
    adam = Adam({"used": used, "idle": idle}, 0.01, 0.1)
    used.grad = torch.ones(3)
    adam.step()
    assert torch.equal(idle, torch.ones(3))
    assert not torch.equal(used, torch.ones(3))
    assert (float(adam.steps["used"]), float(adam.steps["idle"])) == (1.0, 0.0)


def test_restored_state_goes_on_as_if_never_stopped() -> None:
    source = torch.Generator().manual_seed(0)
    gradients = [torch.randn(2, 3, generator=source) for _ in range(6)]
    whole, first = (torch.ones(2, 3, requires_grad=True) for _ in range(2))
    adam, before = Adam({"weight": whole}, 0.0, 0.1), Adam({"weight": first}, 0.0, 0.1)

    def go(optimiser: Adam, value: torch.Tensor, part: list[torch.Tensor]) -> None:
        for gradient in part:
            value.grad = gradient.clone()
            optimiser.step()

    go(adam, whole, gradients)
    go(before, first, gradients[:3])
    after = Adam({"weight": first}, 0.0, 0.1)
    after.restore({name: value.clone() for name, value in before.state().items()})
    go(after, first, gradients[3:])
    assert torch.equal(whole, first)
