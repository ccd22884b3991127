"""Ridge CCA against its definition, against scikit-learn, and how its options are chosen."""

import numpy as np
import pytest
import torch
from sklearn import cross_decomposition

from pipeline.errors import ConfigError
from pipeline.methods.cca import CCA, canonical_directions, moments, principal_axes
from tests.pipeline.methods.rivals import assert_solves, batch_of_pairs, built, planted, settings


def correlated(count: int = 400) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(0)
    shared = rng.standard_normal((count, 3)) * [3.0, 2.0, 1.0]
    sides = [shared @ rng.standard_normal((3, width)) + rng.standard_normal((count, width)) for width in (7, 5)]
    return tuple(torch.from_numpy(side - side.mean(0)) for side in sides)


def canonical(ridge: float) -> tuple[torch.Tensor, ...]:
    faces, voices = correlated()
    count = len(faces)
    covariances = faces.T @ faces / count, faces.T @ voices / count, voices.T @ voices / count
    return *covariances, *canonical_directions(*covariances, ridge, 3)


def test_without_ridge_it_finds_what_the_iterative_algorithm_does() -> None:
    *_, own, other, _ = canonical(0.0)
    faces, voices = correlated()
    theirs = cross_decomposition.CCA(n_components=3, scale=False, max_iter=5000, tol=1e-10).fit_transform(faces, voices)
    for found, expected in zip((faces @ own, voices @ other), theirs, strict=True):
        for column in range(3):
            assert abs(np.corrcoef(found[:, column], expected[:, column])[0, 1]) == pytest.approx(1.0, abs=1e-3)


def test_directions_solve_the_generalised_eigenproblem_with_ridge() -> None:
    c_xx, c_xy, c_yy, own, other, correlations = canonical(0.7)
    c_xx, c_yy = (part + 0.7 * torch.eye(len(part), dtype=torch.float64) for part in (c_xx, c_yy))
    torch.testing.assert_close(own.T @ c_xx @ own, torch.eye(3, dtype=torch.float64))
    torch.testing.assert_close(other.T @ c_yy @ other, torch.eye(3, dtype=torch.float64))
    assert (correlations[:-1] >= correlations[1:]).all()
    torch.testing.assert_close(c_xy @ other, c_xx @ own * correlations)
    torch.testing.assert_close(c_xy.T @ own, c_yy @ other * correlations)


def test_components_are_those_of_standardised_vectors() -> None:
    faces, voices = correlated()
    faces = faces * torch.tensor([1.0, 50.0, 0.1, 1.0, 1.0, 1.0, 0.0]) + 3.0
    covariance = moments(faces, voices).covariance
    correlations = np.corrcoef(torch.cat([faces[:, :6], voices], dim=1).T.numpy())
    kept = [*range(6), *range(7, 12)]
    torch.testing.assert_close(covariance[kept][:, kept], torch.from_numpy(correlations))
    assert (covariance[6] == 0.0).all()  # a value that never changes
    axes = principal_axes(covariance[:7, :7], 4)
    variances = (axes.T @ covariance[:7, :7] @ axes).diagonal()
    expected = np.linalg.eigvalsh(correlations[:6, :6])[::-1][:4].copy()
    torch.testing.assert_close(variances, torch.from_numpy(expected))
    assert principal_axes(covariance[:7, :7], 99).shape == (7, 6)


def scores(offset: float, scale: float) -> torch.Tensor:
    method, batch = built("cca", directions=[4], components=[6], ridge=[0.1]), batch_of_pairs(60)
    assert isinstance(method, CCA)
    faces = scale * batch.faces + offset
    method.solve(moments(faces, batch.voices), 6, 0.1, 4)
    return method.embed("face", faces) @ method.embed("voice", batch.voices).T


def test_scores_do_not_depend_on_scale_and_offset_of_the_vectors() -> None:
    torch.testing.assert_close(scores(2.0, 5.0), scores(0.0, 1.0), atol=1e-3, rtol=0.0)


def test_each_epoch_tries_a_combination_and_validation_keeps_the_best() -> None:
    options = {"directions": [1, 8], "components": [24], "ridge": [0.1, 1000.0]}
    run = planted().train(settings("cca", "own", epochs=4, selection="validation", **options))
    history = run.history
    assert len(history) == 4
    assert history["validation_eer"].nunique() > 1
    assert history.loc[history["chosen"] == 1, "validation_eer"].item() == history["validation_eer"].min()
    # Its map is of the chosen combination, not of the last one.
    assert run.model.chosen_epoch == (2,)
    alone = planted().train(settings("cca", "own", epochs=1, directions=[8], components=[24], ridge=[0.1]))
    vectors = planted().faces[:5]
    np.testing.assert_allclose(run.model.embed("face", vectors), alone.model.embed("face", vectors), atol=1e-5)


def test_other_epochs_than_combinations_are_refused_with_their_number() -> None:
    with pytest.raises(ConfigError, match=r"tries 4 combinations .* give the run epochs: 4, not 3"):
        planted().train(settings("cca", "own", epochs=3, directions=[1, 8], components=[24], ridge=[0.1, 1.0]))


def test_solves_the_planted_world_and_not_the_shuffled_one() -> None:
    assert_solves(settings("cca", "own", epochs=1, directions=[8], components=[24], ridge=[0.1]))
