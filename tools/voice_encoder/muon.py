"""Muon for kernels and AdamW for the rest, as one optimiser.

Muon (Jordan et al. 2024, kellerjordan.github.io/posts/muon) turns each kernel's momentum into the nearest
orthogonal matrix, so that all its directions learn at one pace: fewer steps where steps are dear.
"""

import torch
from torch import Tensor, nn

from extractors.voices.aggregator_network import UtteranceAggregator

MOMENTUM = 0.95
ADAM_BETAS = (0.9, 0.95)
_NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)  # quintic of the post: fast rather than exact


def orthogonalised(gradient: Tensor) -> Tensor:
    """The nearest orthogonal matrix of a kernel (O, ...) flattened to two axes, by five Newton-Schulz steps."""
    a, b, c = _NEWTON_SCHULZ
    matrix = gradient.flatten(1).bfloat16()  # the steps bear its rounding, and halve in time
    tall = matrix.shape[0] > matrix.shape[1]
    matrix = matrix.T if tall else matrix
    matrix = matrix / (matrix.norm() + 1e-7)
    for _ in range(5):
        gram = matrix @ matrix.T
        matrix = a * matrix + (b * gram + c * gram @ gram) @ matrix
    return (matrix.T if tall else matrix).to(gradient.dtype).reshape(gradient.shape)


class Muon(torch.optim.Optimizer):
    """Muon with Nesterov momentum and decoupled weight decay; updates have the size of Adam's (Liu et al. 2025)."""

    def __init__(self, kernels: list[nn.Parameter], weight_decay: float) -> None:
        super().__init__(kernels, {"lr": 0.0, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for kernel in group["params"]:
                momentum = self.state[kernel].setdefault("momentum", torch.zeros_like(kernel))
                momentum.mul_(MOMENTUM).add_(kernel.grad)
                update = orthogonalised(kernel.grad + MOMENTUM * momentum)
                size = 0.2 * max(kernel.shape[0], kernel[0].numel()) ** 0.5
                kernel.mul_(1 - group["lr"] * group["weight_decay"]).add_(update, alpha=-group["lr"] * size)


def optimisers(student: UtteranceAggregator, hints: nn.Module, weight_decay: float) -> tuple[Muon, torch.optim.AdamW]:
    """The backbone's kernels to Muon; norms and the layers after the backbone to AdamW.

    The two big layers after the backbone would cost more to orthogonalise than the rest of the step on a CPU.
    """
    kernels = [parameter for parameter in student.backbone.parameters() if parameter.ndim >= 2]
    chosen = set(map(id, kernels))
    others = [one for one in (*student.parameters(), *hints.parameters()) if id(one) not in chosen]
    return Muon(kernels, weight_decay), torch.optim.AdamW(others, 0.0, ADAM_BETAS, weight_decay=weight_decay)
