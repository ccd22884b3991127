"""Canonical correlation analysis with ridge, the floor of every cross-modal table: closed form, nothing is trained.

Hotelling 1936 (https://doi.org/10.1093/biomet/28.3-4.321), with the ridge of Vinod 1976. On training pairs, faces X and
voices Y are standardised and reduced to their first principal components; C_xx, C_yy, C_xy are their covariances and r
the ridge. With the singular values of (C_xx + r)^-1/2 C_xy (C_yy + r)^-1/2 = U S V', the first k columns of
A = (C_xx + r)^-1/2 U and B = (C_yy + r)^-1/2 V are the directions in which faces and voices correlate most. What is
compared is the cosine of x A and y B. Labels are not used.

How many directions and components and how much ridge decides more than all else (EER 20 to 37 on the shipped corpus),
and is chosen as epochs are: epoch i tries the i-th combination, and `selection: validation` keeps the best on
validation identities. The column `loss` of the history is 1 minus the mean correlation of the directions.
"""

from collections.abc import Mapping
from itertools import product
from typing import Annotated, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from pipeline.errors import ConfigError
from pipeline.losses.base import Loss
from pipeline.losses.own import require_own
from pipeline.methods.adam import Adam
from pipeline.methods.base import Batch, Method, Sizes, register
from pipeline.methods.encoders import pairs_of
from pipeline.methods.orders import Plan
from pipeline.settings import Count, Distinct, RunSettings, Section

_SPANNED = 1e-10  # of the largest variance: what is below is rounding


class Moments(NamedTuple):
    """What CCA needs of training pairs, in float64: unit vectors lose their small variances in float32."""

    mean: Tensor  # (D,)
    scale: Tensor  # (D,) 1 over the standard deviation; 0 for a value that never changes
    covariance: Tensor  # (D, D) of standardised faces and voices side by side


def moments(faces: Tensor, voices: Tensor) -> Moments:
    """Of faces (N, F) and voices (N, V), with D = F + V."""
    both = torch.cat([faces, voices], dim=1).double()
    mean, deviation = both.mean(0), both.std(0, unbiased=False)
    scale = torch.where(deviation > 1e-12, 1.0 / deviation.clamp_min(1e-12), torch.zeros_like(deviation))
    standard = (both - mean) * scale
    return Moments(mean, scale, standard.T @ standard / len(both))


def principal_axes(covariance: Tensor, count: int) -> Tensor:
    """The first axes (D, P) of a covariance (D, D), at most `count` and no more than there are."""
    variances, axes = torch.linalg.eigh(covariance)
    spanned = int((variances > _SPANNED * variances[-1]).sum())
    first: Tensor = axes.flip(1)[:, : min(count, spanned)]
    return first


def canonical_directions(
    c_xx: Tensor, c_xy: Tensor, c_yy: Tensor, ridge: float, count: int
) -> tuple[Tensor, Tensor, Tensor]:
    """A (P, k), B (Q, k) and the correlations S (k,) of covariances (P, P), (P, Q), (Q, Q); k at most P and Q."""
    x_root, y_root = _inverse_root(c_xx, ridge), _inverse_root(c_yy, ridge)
    left, correlations, right = torch.linalg.svd(x_root @ c_xy @ y_root, full_matrices=False)
    return x_root @ left[:, :count], y_root @ right[:count].T, correlations[:count]


def _inverse_root(covariance: Tensor, ridge: float) -> Tensor:
    values, axes = torch.linalg.eigh(covariance)
    root: Tensor = (axes / (values.clamp_min(0.0) + ridge).clamp_min(1e-12).sqrt()) @ axes.T
    return root


@register("cca")
class CCA(Method):
    """Ridge CCA of the training pairs, a combination of its options an epoch."""

    class Options(Section):
        """`methods.cca:` what is tried, every combination of these."""

        directions: Annotated[list[Count], Field(min_length=1), Distinct]  # k
        components: Annotated[list[Count], Field(min_length=1), Distinct]  # principal components of either modality
        ridge: Annotated[list[Annotated[float, Field(ge=0.0)]], Field(min_length=1), Distinct]  # beside variances of 1

    takes = "pairs"
    moments: Moments | None  # of the training pairs, which are the same in every epoch

    def __init__(self, options: Options, sizes: Sizes, modality: str, generator: torch.Generator) -> None:
        super().__init__(options, sizes, modality, generator)
        self.tried = list(product(options.components, options.ridge, options.directions))
        self.epoch, self.moments = 0, None
        self.directions = max(options.directions)
        for side, inputs in (("face", sizes.face), ("voice", sizes.voice)):
            self.register_buffer(f"{side}_mean", torch.zeros(inputs))
            self.register_buffer(f"{side}_map", torch.zeros(inputs, self.directions))

    @property
    def width(self) -> int:
        """E."""
        return self.directions

    def optimisers(self, loss: Loss, settings: RunSettings) -> dict[str, Adam]:
        """None; raises ConfigError for a run that names a loss, or whose epochs are not what there is to try."""
        require_own(settings)
        if settings.epochs != len(self.tried):
            raise ConfigError(
                f"method cca tries {len(self.tried)} combinations of methods.cca, one an epoch: give the run epochs: "
                f"{len(self.tried)}, not {settings.epochs}"
            )
        return {}

    def plan(self, settings: RunSettings, labels: NDArray[np.int64], epoch: int, seed: int) -> Plan:
        """All pairs at once; and which combination this epoch tries."""
        self.epoch = epoch
        pair = np.arange(len(labels))[None]
        return Plan(pair, np.zeros_like(pair, dtype=np.bool_))

    def training_step(self, batch: Batch, loss: Loss, optimisers: Mapping[str, Adam]) -> Tensor:
        """The closed form for one combination."""
        if self.moments is None:
            self.moments = moments(*pairs_of(batch))
        return self.solve(self.moments, *self.tried[self.epoch])

    def solve(self, found: Moments, components: int, ridge: float, directions: int) -> Tensor:
        """Take the maps of one combination; 1 minus the mean correlation ()."""
        sides = {"face": slice(0, self.sizes.face), "voice": slice(self.sizes.face, None)}
        axes = {side: principal_axes(found.covariance[part, part], components) for side, part in sides.items()}
        c_xx, c_yy = (axes[side].T @ found.covariance[part, part] @ axes[side] for side, part in sides.items())
        c_xy = axes["face"].T @ found.covariance[sides["face"], sides["voice"]] @ axes["voice"]
        *maps, correlations = canonical_directions(c_xx, c_xy, c_yy, ridge, directions)
        for (side, part), directed in zip(sides.items(), maps, strict=True):
            whole = found.scale[part, None] * (axes[side] @ directed)
            padded = F.pad(whole, (0, self.directions - whole.shape[1]))  # zeros change no cosine
            setattr(self, f"{side}_map", padded.float().contiguous())
            setattr(self, f"{side}_mean", found.mean[part].float())
        return 1.0 - correlations.mean()

    def embed(self, modality: str, vectors: Tensor) -> Tensor:
        """(N, D) to (N, E) of unit norm."""
        mean, directions = getattr(self, f"{modality}_mean"), getattr(self, f"{modality}_map")
        return F.normalize((vectors - mean) @ directions, dim=-1)
