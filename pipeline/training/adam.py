"""Adam on stacked parameters, with a state that can be written down.

The functional form of torch's own: constructing torch.optim.Adam imports torch's compiler, about a second in each of
a report's 28 processes.
"""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor
from torch.optim.adam import adam

_BETA1, _BETA2, _EPSILON = 0.9, 0.999, 1e-8  # Kingma & Ba's, which the paper and the official code leave as they are


class Adam:
    """Adam with coupled weight decay (the gradient of an L2 penalty), as torch.optim.Adam has it.

    The S slices of a parameter are stepped as S tensors: the kernel rounds the last few values of a tensor otherwise
    than the rest, so a slice's bits would depend on where in the stack it lies.
    """

    def __init__(self, parameters: Mapping[str, Tensor], weight_decay: float) -> None:
        self.parameters, self.weight_decay = dict(parameters), weight_decay
        self.first = {name: torch.zeros_like(value) for name, value in self.parameters.items()}
        self.second = {name: torch.zeros_like(value) for name, value in self.parameters.items()}
        slices = _slices(self.parameters.values())
        self.steps = [torch.zeros((), device=value.device) for value in slices]

    @torch.no_grad()
    def step(self, gradients: list[Tensor], learning_rate: float) -> None:
        """Move the parameters in place; gradients in the parameters' order."""
        # The fused kernel walks the memory of parameter and gradient side by side and never looks at strides.
        gradients = [gradient.contiguous() for gradient in gradients]
        adam(
            _slices(self.parameters.values()),
            _slices(gradients),
            _slices(self.first.values()),
            _slices(self.second.values()),
            [],
            self.steps,
            fused=True,
            foreach=False,
            amsgrad=False,
            beta1=_BETA1,
            beta2=_BETA2,
            lr=learning_rate,
            weight_decay=self.weight_decay,
            eps=_EPSILON,
            maximize=False,
            has_complex=False,
        )

    def state(self) -> dict[str, Tensor]:
        """Moments and the count of steps, by name; the tensors themselves, not copies."""
        moments = {f"first.{name}": value for name, value in self.first.items()}
        moments |= {f"second.{name}": value for name, value in self.second.items()}
        return moments | {"steps": torch.stack(self.steps)}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Take over what `state` gave."""
        for name in self.parameters:
            self.first[name].copy_(state[f"first.{name}"])
            self.second[name].copy_(state[f"second.{name}"])
        for step, value in zip(self.steps, state["steps"], strict=True):
            step.copy_(value)


def _slices(stacked: Iterable[Tensor]) -> list[Tensor]:
    return [part for value in stacked for part in value.unbind(0)]
