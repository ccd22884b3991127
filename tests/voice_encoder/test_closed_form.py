"""The start: a backbone that passes spectra on, and layers fitted to it."""

import numpy as np
import pytest
import torch
from torch import nn

from extractors.aggregator_network import UtteranceAggregator, untrained
from voice_encoder.closed_form import descriptors, fit_embedding, fit_frames, k_means, principal
from voice_encoder.passing import set_passing, stem_channels
from voice_encoder.recipe import load_recipe

START = load_recipe().start


@pytest.fixture(scope="module")
def network() -> UtteranceAggregator:
    network = untrained(0)
    set_passing(network.backbone, _sounds(12), np.random.default_rng(0))
    return network


def _sounds(count: int) -> torch.Tensor:
    """Smooth random spectra, normalised by frame: (count, 1, 257, 48)."""
    generator = torch.Generator().manual_seed(0)
    rough = torch.rand(count, 1, 18, 8, generator=generator) ** 3
    smooth = nn.functional.interpolate(rough, (257, 48), mode="bicubic")
    deviation, mean = torch.std_mean(smooth, dim=2, keepdim=True)
    return (smooth - mean) / deviation


def test_the_stem_has_sixty_four_channels() -> None:
    assert len(stem_channels()) == 64
    assert all(kernel.shape == (7, 7) for kernel, _ in stem_channels())


def test_batch_norms_neither_kill_nor_blow_up(network: UtteranceAggregator) -> None:
    maps = network.backbone(_sounds(12))
    assert torch.isfinite(maps).all()
    assert 0.2 < maps.std() < 20
    assert (maps.std(dim=(0, 2, 3)) > 1e-3).float().mean() > 0.9


def test_running_statistics_are_those_of_the_batch(network: UtteranceAggregator) -> None:
    in_use = network.backbone.eval()(_sounds(12))
    in_training = network.backbone.train()(_sounds(12))
    network.backbone.eval()
    torch.testing.assert_close(in_use, in_training, atol=2e-2, rtol=2e-2)


def test_principal_components_are_those_of_the_covariance() -> None:
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(500, 60, generator=generator) * torch.linspace(3, 0.1, 60)
    components, variances = principal(rows, 5, 0)
    values, vectors = torch.linalg.eigh(rows.T @ rows / 500)
    torch.testing.assert_close(variances, values.flip(0)[:5], atol=1e-2, rtol=1e-2)
    cosine = (components * vectors.flip(1)[:, :5]).sum(dim=0).abs()
    assert cosine.min() > 0.98


def test_k_means_finds_separate_heaps() -> None:
    generator = torch.Generator().manual_seed(0)
    heaps = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])
    rows = heaps.repeat_interleave(50, dim=0) + torch.randn(150, 2, generator=generator) * 0.1
    found = k_means(rows, 3, 3)
    assert torch.cdist(heaps, found).min(dim=1).values.max() < 0.2


@pytest.fixture(scope="module")
def fitted(network: UtteranceAggregator) -> tuple[UtteranceAggregator, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    maps = torch.rand(60, 512, 7, 10, generator=generator) ** 2
    fit_frames(network, maps, START, 0)
    return network, maps


def test_features_are_white_and_lifted_above_zero(fitted: tuple[UtteranceAggregator, torch.Tensor]) -> None:
    network, maps = fitted
    with torch.no_grad():
        features = network.features(maps)[:, :, 0].permute(1, 0, 2).flatten(1)  # (512, N T)
    assert (features > 0).float().mean() > 0.98
    covariance = torch.cov(features)
    off_diagonal = covariance - torch.diag(covariance.diagonal())
    assert off_diagonal.abs().max() < 0.1 * covariance.diagonal().mean()


def test_ghosts_stay_empty_and_residuals_are_centred(fitted: tuple[UtteranceAggregator, torch.Tensor]) -> None:
    network, maps = fitted
    with torch.no_grad():
        scores = network.assignment(maps)[:, :, 0].softmax(dim=1)
        features = network.features(maps)[:, :, 0]
        residuals = network.pool.residuals(features, network.assignment(maps)[:, :, 0]).sum(dim=0)
    assert scores[:, 8:].max() < 1e-6
    assert residuals.abs().max() < 1e-2 * len(maps)


def test_embedding_holds_its_axes_and_their_negatives_lifted(fitted: tuple[UtteranceAggregator, torch.Tensor]) -> None:
    network, maps = fitted
    rows = descriptors(network, maps)
    targets = torch.randn(60, 5, generator=torch.Generator().manual_seed(3))
    fit_embedding(network, rows, torch.arange(60) // 2, targets, START, 0)
    with torch.no_grad():
        positive, negative = network.embedding(rows).chunk(2, dim=1)
    torch.testing.assert_close(positive - START.lift, START.lift - negative, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(positive.mean(dim=0), torch.full((256,), START.lift), atol=1e-3, rtol=0)
    assert (positive - START.lift).std().item() == pytest.approx(1.0, abs=1e-3)
