"""What a network is trained with: cross entropy, alone or with FOP's constraint, centres, or centres and Git.

Every formula takes any leading axes: (B, D) for one network, (S, B, D) for S of them, whose losses come back as (S,).
"""

from pipeline.losses import center, cross_entropy, fop, git_loss
from pipeline.losses.registry import Loss, Output, build_loss

__all__ = ["Loss", "Output", "build_loss", "center", "cross_entropy", "fop", "git_loss"]
