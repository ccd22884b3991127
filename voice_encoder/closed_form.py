"""The layers after the backbone, fitted to its maps without a gradient.

Features: principal components of the frames, whitened. Clusters: k-means of the strongest components; the ghosts stay
empty. Embedding: principal components of the descriptors, less what varies within one voice (WCCN, Hatch et al. 2006),
beside the linear regression of the teacher's vectors.
"""

import torch
from torch import Tensor

from extractors.aggregator_network import CLUSTERS, DIMENSION, UtteranceAggregator
from voice_encoder.recipe import Start

_OFFSET = 3.0  # deviations by which features are lifted, so that the rectifier lets them pass
_ROWS_DRAWN = 10_000  # from which k-means takes its first centres
_CLOSED = -30.0  # assignment score of a ghost that takes nothing


def principal(rows: Tensor, count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Top components (D, count) of centred rows (N, D) and their variances, by subspace iteration."""
    generator = torch.Generator().manual_seed(seed)
    basis = torch.randn(rows.shape[1], count + 30, generator=generator)
    for _ in range(4):
        basis = torch.linalg.qr(rows.T @ (rows @ basis))[0]
    projected = rows @ basis
    variances, rotation = torch.linalg.eigh(projected.T @ projected / len(rows))
    return (basis @ rotation).flip(1)[:, :count], variances.flip(0)[:count]


def k_means(rows: Tensor, count: int, seed: int) -> Tensor:
    """(count, D) centres of rows (N, D): 20 rounds from rows drawn far apart (Arthur and Vassilvitskii 2007)."""
    generator = torch.Generator().manual_seed(seed)
    centres = rows[:1]
    while len(centres) < count:
        distance = torch.cdist(rows[:_ROWS_DRAWN], centres).min(dim=1).values.square()
        centres = torch.cat([centres, rows[torch.multinomial(distance, 1, generator=generator)]])
    for _ in range(20):
        nearest = torch.cdist(rows, centres).argmin(dim=1)
        filled = [rows[nearest == index] for index in range(count)]
        centres = torch.stack([own.mean(dim=0) if len(own) else old for own, old in zip(filled, centres, strict=True)])
    return centres


def _flat(maps: Tensor) -> Tensor:
    """(N, 512, 7, T) maps -> (N * T, 3584) frames."""
    return maps.permute(0, 3, 1, 2).flatten(2).flatten(0, 1).float()


@torch.no_grad()
def fit_frames(network: UtteranceAggregator, maps: Tensor, settings: Start, seed: int) -> None:
    """Set the features, the assignment and the centres from maps (N, 512, 7, T)."""
    frames = _flat(maps)
    mean, deviation = frames.mean(dim=0), frames.std(dim=0) + settings.deviation_floor
    rows = (frames - mean) / deviation
    components, variances = principal(rows, DIMENSION, seed)
    whitening = (variances + settings.variance_floor * variances.mean()).rsqrt()
    features = rows @ components * whitening  # (N T, 512)
    strong = rows @ components[:, : settings.cluster_components] * variances[: settings.cluster_components].rsqrt()
    means = k_means(strong, CLUSTERS, seed)
    assignment = (strong @ means.T - means.square().sum(dim=1) / 2).softmax(dim=1)  # (N T, 8)
    network.pool.centres.zero_()
    network.pool.centres[:CLUSTERS] = assignment.T @ features / assignment.sum(dim=0)[:, None] + _OFFSET
    kernel = ((components * whitening) / deviation[:, None]).T  # (512, 3584)
    network.features.weight.copy_(kernel.view_as(network.features.weight))
    network.features.bias.copy_(_OFFSET - kernel @ mean)
    kernel = (
        means
        @ (
            (components[:, : settings.cluster_components] * variances[: settings.cluster_components].rsqrt())
            / deviation[:, None]
        ).T
    )
    network.assignment.weight.zero_()
    network.assignment.weight[:CLUSTERS] = kernel.view(CLUSTERS, *network.assignment.weight.shape[1:])
    network.assignment.bias.fill_(_CLOSED)
    network.assignment.bias[:CLUSTERS] = -kernel @ mean - means.square().sum(dim=1) / 2


@torch.no_grad()
def descriptors(network: UtteranceAggregator, maps: Tensor) -> Tensor:
    """Maps (N, 512, 7, T) -> GhostVLAD descriptors (N, 4096)."""
    parts = []
    for part in maps.split(100):
        features = torch.relu(network.features(part.float()))[:, :, 0]
        parts.append(
            network.pool.normalise(network.pool.residuals(features, network.assignment(part.float())[:, :, 0]))
        )
    return torch.cat(parts)


def _steady(rows: Tensor, voice: Tensor, settings: Start, seed: int) -> Tensor:
    """(4096, 256) directions of centred descriptors (N, 4096), scaled by how steady each is within one voice."""
    components, _ = principal(rows, DIMENSION // 2, seed)
    projected = rows @ components  # (N, 256)
    count = torch.bincount(voice)
    sums = torch.zeros(len(count), projected.shape[1]).index_add(0, voice, projected)
    several = count[voice] > 1
    within = (projected - sums[voice] / count[voice][:, None])[several]
    covariance = within.T @ within / (several.sum() - (count > 1).sum())
    covariance += settings.within_floor * covariance.trace() / len(covariance) * torch.eye(len(covariance))
    return components @ torch.linalg.cholesky(torch.linalg.inv(covariance))


def _taught(rows: Tensor, targets: Tensor, settings: Start) -> Tensor:
    """(4096, 192) ridge regression from centred descriptors (N, 4096) to the teacher's vectors (N, 192)."""
    gram = rows @ rows.T
    gram += settings.ridge * gram.diagonal().mean() * torch.eye(len(rows))
    return rows.T @ torch.linalg.solve(gram, targets)


def _principal_axes(rows: Tensor, directions: Tensor, seed: int) -> Tensor:
    """(4096, 256) strongest axes of the projected rows, rotated at random so that none carries more than another."""
    projected = rows @ directions
    _, vectors = torch.linalg.eigh(projected.T @ projected / len(rows))
    generator = torch.Generator().manual_seed(seed)
    rotation = torch.linalg.qr(torch.randn(DIMENSION // 2, DIMENSION // 2, generator=generator))[0]
    axes = directions @ vectors.flip(1)[:, : DIMENSION // 2] @ rotation
    return axes / (rows @ axes).std()


@torch.no_grad()
def fit_embedding(
    network: UtteranceAggregator, descriptors: Tensor, voice: Tensor, targets: Tensor, settings: Start, seed: int
) -> None:
    """Set the last layer from descriptors (N, 4096), the voice (N,) and the teacher's vector (N, 192) of each.

    256 axes, each once as it is and once negated, both lifted by `lift` deviations: while neither half is cut off,
    their scalar product is a constant plus that of the axes.
    """
    mean = descriptors.mean(dim=0)
    rows = descriptors - mean
    parts = []
    for weight, directions in (
        (1.0, _steady(rows, voice, settings, seed)),
        (settings.teacher, _taught(rows, targets, settings)),
    ):
        parts.append(weight**0.5 * directions / (rows @ directions).norm(dim=1).mean())
    axes = _principal_axes(rows, torch.cat(parts, dim=1), seed).T  # (256, 4096)
    kernel = torch.cat([axes, -axes])
    network.embedding.weight.copy_(kernel)
    network.embedding.bias.copy_(settings.lift - kernel @ mean)
