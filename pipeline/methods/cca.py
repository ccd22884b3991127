"""Canonical correlation analysis with ridge, the floor of every cross-modal table: closed form, nothing is trained.

Hotelling 1936 (https://doi.org/10.1093/biomet/28.3-4.321), with the ridge of Vinod 1976. On training pairs, faces X and
voices Y are standardised and reduced to their first principal components; C_xx, C_yy, C_xy are their covariances and r
the ridge. With the singular values of (C_xx + r)^-1/2 C_xy (C_yy + r)^-1/2 = U S V', the first k columns of
A = (C_xx + r)^-1/2 U and B = (C_yy + r)^-1/2 V are the directions in which faces and voices correlate most. What is
compared is the cosine of x A and y B. Labels are not used.
"""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from pipeline.methods.base import Batch, Method, Sizes, register
from pipeline.methods.encoders import pairs_of
from pipeline.settings import Count, Section


@register("cca")
class CCA(Method):
    """Ridge CCA of the training pairs."""

    class Options(Section):
        """`methods.cca:`."""

        directions: Count  # k; fewer where the vectors have fewer
        face_components: Count  # principal components that are kept; of narrower vectors all
        voice_components: Count
        ridge: Annotated[float, Field(ge=0.0)]  # beside variances of standardised values, which are 1

    takes = "pairs"
    epochless = True

    def __init__(self, options: Options, sizes: Sizes, modality: str, generator: torch.Generator) -> None:
        super().__init__(options, sizes, modality, generator)
        self.components = {"face": options.face_components, "voice": options.voice_components}
        self.directions = min(options.directions, sizes.face, sizes.voice, *self.components.values())
        self.ridge = options.ridge
        for side, inputs in (("face", sizes.face), ("voice", sizes.voice)):
            self.register_buffer(f"{side}_mean", torch.zeros(inputs))
            self.register_buffer(f"{side}_map", torch.zeros(inputs, self.directions))

    def fit(self, batch: Batch) -> None:
        """The closed form, in float64: a covariance of unit vectors loses its small eigenvalues in float32."""
        faces, voices = pairs_of(batch)
        sides = {"face": faces.double(), "voice": voices.double()}
        reduced, bases = {}, {}
        for side, vectors in sides.items():
            mean, basis = principal_components(vectors, self.components[side])
            reduced[side], bases[side] = (vectors - mean) @ basis, basis
            setattr(self, f"{side}_mean", mean.float())
        maps = canonical_directions(reduced["face"], reduced["voice"], self.ridge, self.directions)
        for side, directions in zip(sides, maps, strict=True):
            setattr(self, f"{side}_map", (bases[side] @ directions).float().contiguous())

    def embed(self, modality: str, vectors: Tensor) -> Tensor:
        """(N, D) to (N, k) of unit norm."""
        mean, directions = getattr(self, f"{modality}_mean"), getattr(self, f"{modality}_map")
        return F.normalize((vectors - mean) @ directions, dim=-1)


def principal_components(vectors: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Mean (D,) of vectors (N, D), and the map (D, P) to their first `count` components after standardising.

    A value that never changes is left at 0. No more components are kept than the vectors span.
    """
    mean, deviation = vectors.mean(0), vectors.std(0, unbiased=False)
    scale = torch.where(deviation > 1e-12, 1.0 / deviation.clamp_min(1e-12), torch.zeros_like(deviation))
    standard = (vectors - mean) * scale
    variances, axes = torch.linalg.eigh(standard.T @ standard / len(vectors))
    spanned = int((variances > 1e-10 * variances[-1]).sum())
    return mean, scale[:, None] * axes.flip(1)[:, : min(count, spanned)]


def canonical_directions(faces: Tensor, voices: Tensor, ridge: float, count: int) -> tuple[Tensor, Tensor]:
    """A (P, k) and B (Q, k) of centred faces (N, P) and voices (N, Q); columns beyond P or Q are zero."""
    face_root, voice_root = (_inverse_root(side.T @ side / len(side), ridge) for side in (faces, voices))
    left, _, right = torch.linalg.svd(face_root @ (faces.T @ voices / len(faces)) @ voice_root, full_matrices=False)
    kept = min(count, left.shape[1])
    maps = face_root @ left[:, :kept], voice_root @ right[:kept].T
    return F.pad(maps[0], (0, count - kept)), F.pad(maps[1], (0, count - kept))


def _inverse_root(covariance: Tensor, ridge: float) -> Tensor:
    values, axes = torch.linalg.eigh(covariance)
    root: Tensor = (axes / (values.clamp_min(0.0) + ridge).clamp_min(1e-12).sqrt()) @ axes.T
    return root
