"""The networks: SBNet's single branch, its two-branch rival, and loaders for what was trained."""

from pipeline.methods.build import Network, Sizes, build_network, stacked_network, unstacked
from pipeline.methods.official import load_official_checkpoint
from pipeline.methods.single_branch import SingleBranch, SingleOutput
from pipeline.methods.two_branch import TwoBranch, TwoOutput

__all__ = [
    "Network",
    "SingleBranch",
    "SingleOutput",
    "Sizes",
    "TwoBranch",
    "TwoOutput",
    "build_network",
    "load_official_checkpoint",
    "stacked_network",
    "unstacked",
]
