"""Canonical correlations of identities: closed form, each person counts once. Ours, `best` in params.yaml.

A small set of people is what limits a face-voice association: pairs are many, but what the two have in common is seen
as often as there are people. So nothing is learnt from pairs. Of the m_i, the mean face of person i, and its
deviations, B_x = mean_i (m_i - m)(m_i - m)' is how people differ and W_x = mean_i mean_j (x_ij - m_i)(x_ij - m_i)' how
the faces of one do: the two covariances of PLDA (Prince and Elder 2007, https://doi.org/10.1109/ICCV.2007.4409052), by
moments; B_y and W_y are those of voices, n_i the mean voices. With the first P axes of B_x, a ridge r beside variances
of mean 1, and w for the noise of the one vector that a trial has (B + W is the covariance of a single vector),

    C_xx = B_x + w W_x,  C_xy = mean_i (m_i - m)(n_i - n)',
    (C_xx + r)^-1/2 C_xy (C_yy + r)^-1/2 = U S V'  (canonical correlations: Hotelling 1936, ridge: Vinod 1976),
    f = U' (C_xx + r)^-1/2 (x - m),  v = V' (C_yy + r)^-1/2 (y - n).

Correlations of few people are too high, the weak ones most: T = S^p is what is believed of them, and takes the place of
a choice of directions. What is compared is one of two scores:

- cosine, of T f and T v;
- likelihood_ratio, log p(f, v) / p(f) p(v) of the joint Gaussian model but for a constant,
  sum_k t_k f_k v_k / (1 - t_k^2) - t_k^2 (f_k^2 + v_k^2) / 2 (1 - t_k^2).
  With a = sqrt(t / 2 (1 - t^2)) f and b likewise of v, it is -|a - b|^2 + q(a) + q(b), q(a) = sum_k (1 - t_k) a_k^2.
  One more coordinate a side, sqrt(Q - q), makes it minus a squared distance, so that it is retrieved as others are.

The ratio is best if people are Gaussian and enough; the cosine does without the lengths, which Gaussians alone make
informative. Chance plays no part: all seeds give the same.
"""

from typing import Annotated, Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from pipeline.errors import ProtocolError
from pipeline.methods.base import Batch, Method, Sizes, register
from pipeline.methods.cca import canonical_directions, principal_axes
from pipeline.methods.encoders import pairs_of
from pipeline.settings import Count, Section

Weight = Annotated[float, Field(ge=0.0)]
_SIDES = ("face", "voice")
_CERTAIN = 0.9999  # a correlation of 1 has no density
_BEYOND = 4.0  # twice as far out as training vectors; what is further counts as if it were there


class TwoCovariances(NamedTuple):
    """How N identities differ and how the vectors of one do, in float64."""

    means: Tensor  # (N, D) of each identity, around the mean of all
    mean: Tensor  # (D,) of these means
    between: Tensor  # (D, D) covariance of the means
    within: Tensor  # (D, D) of vectors around the mean of their identity, each identity with the same weight


def two_covariances(vectors: Tensor, labels: Tensor) -> TwoCovariances:
    """Of vectors (M, D) of identities `labels` (M,), numbers from 0 of which none is left out."""
    vectors, counts = vectors.double(), torch.bincount(labels).double()
    sums = torch.zeros(len(counts), vectors.shape[1], dtype=torch.float64, device=vectors.device)
    means = sums.index_add(0, labels, vectors) / counts[:, None]
    mean = means.mean(0)
    deviations = (vectors - means[labels]) / counts[labels].sqrt()[:, None]
    centred = means - mean
    return TwoCovariances(centred, mean, centred.T @ centred / len(means), deviations.T @ deviations / len(means))


class Side(NamedTuple):
    """One modality before it meets the other."""

    axes: Tensor  # (D, P) principal axes of the identities, scaled so that the variances below have mean 1
    means: Tensor  # (N, P) identities on these axes
    covariance: Tensor  # (P, P) B + w W on these axes


def one_side(found: TwoCovariances, components: int, noise: float) -> Side:
    """The first axes of the identities; at most `components`, and no more than there are.

    Raises ProtocolError where all identities have the same mean.
    """
    axes = principal_axes(found.between, components)
    if not axes.shape[1]:
        raise ProtocolError("identity_cca: the mean vectors of all training identities are one: nothing can correlate")
    covariance = axes.T @ (found.between + noise * found.within) @ axes
    scale = covariance.diagonal().mean()
    axes = axes / scale.sqrt()
    return Side(axes, found.means @ axes, covariance / scale)


@register("identity_cca")
class IdentityCCA(Method):
    """Ridge CCA of identities, directions weighted by a power of their correlations."""

    class Options(Section):
        """`methods.identity_cca:`."""

        face_components: Count  # P, principal axes of the identities
        voice_components: Count
        noise: Weight  # w, of the spread within an identity
        ridge: Weight  # r, beside variances whose mean is 1
        power: Weight  # p, of the correlations
        score: Literal["cosine", "likelihood_ratio"]

    takes = "pairs"
    epochless = True
    slack: Tensor  # (K,) 1 - t of each direction
    reach: Tensor  # () Q

    def __init__(self, options: Options, sizes: Sizes, modality: str, generator: torch.Generator) -> None:
        super().__init__(options, sizes, modality, generator)
        self.options = options
        self.directions = min(options.face_components, options.voice_components)
        for side, inputs in (("face", sizes.face), ("voice", sizes.voice)):
            self.register_buffer(f"{side}_mean", torch.zeros(inputs))
            self.register_buffer(f"{side}_map", torch.zeros(inputs, self.directions))
        self.register_buffer("slack", torch.zeros(self.directions))
        self.register_buffer("reach", torch.zeros(()))

    def fit(self, batch: Batch) -> None:
        """The closed form, of all training pairs."""
        options, vectors = self.options, pairs_of(batch)
        found = [two_covariances(side, batch.labels) for side in vectors]
        components = options.face_components, options.voice_components
        face, voice = (one_side(one, count, options.noise) for one, count in zip(found, components, strict=True))
        c_xy = face.means.T @ voice.means / len(face.means)
        *turned, correlations = canonical_directions(
            face.covariance, c_xy, voice.covariance, options.ridge, self.directions
        )
        believed = correlations.clamp(0.0, _CERTAIN) ** options.power
        weights = believed if options.score == "cosine" else (believed / (2.0 - 2.0 * believed**2)).sqrt()
        for name, side, directions, one in zip(_SIDES, (face, voice), turned, found, strict=True):
            setattr(self, f"{name}_map", self._padded(side.axes @ (directions * weights)))
            setattr(self, f"{name}_mean", one.mean.float())
        self.slack = self._padded(1.0 - believed)
        lengths = [
            self._surplus(self._coordinates(name, side)) for name, side in zip(("face", "voice"), vectors, strict=True)
        ]
        self.reach = _BEYOND * torch.cat(lengths).max()

    def _padded(self, found: Tensor) -> Tensor:
        """Zeros for the directions that the identities do not span: they change no score."""
        return F.pad(found, (0, self.directions - found.shape[-1])).float().contiguous()

    def _coordinates(self, modality: str, vectors: Tensor) -> Tensor:
        mean, directions = getattr(self, f"{modality}_mean"), getattr(self, f"{modality}_map")
        return torch.mm(vectors - mean, directions)

    def _surplus(self, coordinates: Tensor) -> Tensor:  # q (N,)
        return (self.slack * coordinates.square()).sum(1)

    def embed(self, modality: str, vectors: Tensor) -> Tensor:
        """(N, D) to (N, K) of unit norm or, for the likelihood ratio, (N, K + 2)."""
        found = self._coordinates(modality, vectors)
        if self.options.score == "cosine":
            return F.normalize(found, dim=-1)
        lacking = (self.reach - self._surplus(found)).clamp_min(0.0).sqrt()[:, None]
        own, other = (lacking, torch.zeros_like(lacking))
        return torch.cat([found, own, other] if modality == "face" else [found, other, own], dim=1)
