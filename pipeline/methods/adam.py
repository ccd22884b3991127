"""Adam with a state that can be written down.

The functional form of torch's own: constructing torch.optim.Adam imports torch's compiler, which takes as long as the
import of torch itself (1 to 2 s) in each of a report's 28 processes.
"""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.optim.adam import adam

_BETA1, _BETA2, _EPSILON = 0.9, 0.999, 1e-8  # Kingma & Ba's, which the paper and the official code leave as they are


class Adam:
    """Adam with coupled weight decay (the gradient of an L2 penalty), as torch.optim.Adam has it.

    `learning_rate` is an attribute: a training sets it before each epoch. A parameter without a gradient stays.
    """

    def __init__(self, parameters: Mapping[str, Tensor], weight_decay: float, learning_rate: float = 0.0) -> None:
        self.parameters, self.weight_decay, self.learning_rate = dict(parameters), weight_decay, learning_rate
        self.first = {name: torch.zeros_like(value) for name, value in self.parameters.items()}
        self.second = {name: torch.zeros_like(value) for name, value in self.parameters.items()}
        self.steps = {name: torch.zeros((), device=value.device) for name, value in self.parameters.items()}

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for value in self.parameters.values():
            value.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Move the parameters in place by their gradients."""
        moved = {name: value for name, value in self.parameters.items() if value.grad is not None}
        adam(
            list(moved.values()),
            # The fused kernel walks the memory of parameter and gradient side by side and never looks at strides.
            [value.grad.contiguous() for value in moved.values() if value.grad is not None],
            [self.first[name] for name in moved],
            [self.second[name] for name in moved],
            [],
            [self.steps[name] for name in moved],
            fused=True,
            foreach=False,
            amsgrad=False,
            beta1=_BETA1,
            beta2=_BETA2,
            lr=self.learning_rate,
            weight_decay=self.weight_decay,
            eps=_EPSILON,
            maximize=False,
            has_complex=False,
        )

    def state(self) -> dict[str, Tensor]:
        """Moments and counts of steps, by name; the tensors themselves, not copies."""
        parts = {"first": self.first, "second": self.second, "steps": self.steps}
        return {f"{part}.{name}": value for part, values in parts.items() for name, value in values.items()}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Take over what `state` gave; raises KeyError or RuntimeError if it is of other parameters."""
        for name, value in self.state().items():
            value.copy_(state[name])
