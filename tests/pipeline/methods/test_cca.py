"""Ridge CCA against its definition: what it maximises, and what scikit-learn finds."""

import numpy as np
import pytest
import torch
from sklearn import cross_decomposition

from pipeline.methods.cca import canonical_directions, principal_components
from tests.pipeline.methods.rivals import assert_solves, batch_of_pairs, built, settings


def correlated(count: int = 400) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(0)
    shared = rng.standard_normal((count, 3)) * [3.0, 2.0, 1.0]
    sides = [shared @ rng.standard_normal((3, width)) + rng.standard_normal((count, width)) for width in (7, 5)]
    return tuple(torch.from_numpy(side - side.mean(0)) for side in sides)


def test_without_ridge_it_finds_what_the_iterative_algorithm_does() -> None:
    faces, voices = correlated()
    ours = [side @ directions for side, directions in zip((faces, voices), canonical(faces, voices, 0.0), strict=True)]
    theirs = cross_decomposition.CCA(n_components=3, scale=False, max_iter=5000, tol=1e-10).fit_transform(faces, voices)
    for own, other in zip(ours, theirs, strict=True):
        for column in range(3):
            found = np.corrcoef(own[:, column], other[:, column])[0, 1]
            assert abs(found) == pytest.approx(1.0, abs=1e-3)


def canonical(faces: torch.Tensor, voices: torch.Tensor, ridge: float) -> tuple[torch.Tensor, torch.Tensor]:
    return canonical_directions(faces, voices, ridge, 3)


def test_directions_solve_the_generalised_eigenproblem_with_ridge() -> None:
    faces, voices = correlated()
    ridge, count = 0.7, len(faces)
    own, other = canonical(faces, voices, ridge)
    c_xx = faces.T @ faces / count + ridge * torch.eye(7, dtype=torch.float64)
    c_yy = voices.T @ voices / count + ridge * torch.eye(5, dtype=torch.float64)
    c_xy = faces.T @ voices / count
    torch.testing.assert_close(own.T @ c_xx @ own, torch.eye(3, dtype=torch.float64))
    torch.testing.assert_close(other.T @ c_yy @ other, torch.eye(3, dtype=torch.float64))
    correlations = (own.T @ c_xy @ other).diagonal()
    assert (correlations[:-1] >= correlations[1:]).all()
    torch.testing.assert_close(c_xy @ other, c_xx @ own * correlations)
    torch.testing.assert_close(c_xy.T @ own, c_yy @ other * correlations)


def test_components_are_those_of_standardised_vectors() -> None:
    vectors = correlated()[0] * torch.tensor([1.0, 50.0, 0.1, 1.0, 1.0, 1.0, 0.0]) + 3.0
    mean, basis = principal_components(vectors, 4)
    reduced = (vectors - mean) @ basis
    covariance = reduced.T @ reduced / len(vectors)
    torch.testing.assert_close(covariance, torch.diag(covariance.diagonal()), atol=1e-9, rtol=0.0)
    standard = np.corrcoef(vectors[:, :6].T.numpy())
    torch.testing.assert_close(
        covariance.diagonal(), torch.from_numpy(np.linalg.eigvalsh(standard)[::-1][:4].copy()), atol=1e-9, rtol=0.0
    )


def test_scores_do_not_depend_on_scale_and_offset_of_the_vectors() -> None:
    first, second, batch = built("cca", directions=4), built("cca", directions=4), batch_of_pairs(60)
    first.fit(batch)
    second.fit(type(batch)(batch.labels, None, None, 5.0 * batch.faces + 2.0, batch.voices, {}))
    scores = [
        method.embed("face", faces) @ method.embed("voice", batch.voices).T
        for method, faces in ((first, batch.faces), (second, 5.0 * batch.faces + 2.0))
    ]
    torch.testing.assert_close(scores[0], scores[1], atol=1e-3, rtol=0.0)


def test_solves_the_planted_world_and_not_the_shuffled_one() -> None:
    assert_solves(settings("cca", "own", directions=8, ridge=0.1))
