"""Weighted CCA of identities against loops, against the Gaussian truth, and what must not matter to it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.errors import ProtocolError
from pipeline.methods import Batch
from pipeline.methods.base import Method
from pipeline.methods.identity_cca import two_covariances
from pipeline.metrics import roc_auc
from pipeline.scoring import load_model, save_model
from tests.pipeline.methods.rivals import SIZES, assert_solves, batch_of_pairs, built, planted, settings

PLAIN = {"face_components": 12, "voice_components": 10, "noise": 1.0, "ridge": 0.1, "power": 2.0, "score": "cosine"}


def fitted(batch: Batch, **changes: object) -> Method:
    method = built("identity_cca", **{**PLAIN, **changes})
    method.fit(batch)
    return method


def cosines(method: Method, batch: Batch) -> torch.Tensor:
    assert batch.faces is not None and batch.voices is not None
    return method.embed("face", batch.faces) @ method.embed("voice", batch.voices).T


def test_covariances_are_those_of_loops() -> None:
    batch = batch_of_pairs(13)  # people of two and of three vectors
    found = two_covariances(batch.faces, batch.labels)
    faces, labels = batch.faces.double().numpy(), batch.labels.numpy()
    people = [faces[labels == person] for person in range(SIZES.classes)]
    mean = np.mean([vectors.mean(axis=0) for vectors in people], axis=0)
    between, within = np.zeros((12, 12)), np.zeros((12, 12))
    for vectors in people:
        own = vectors.mean(axis=0)
        between += np.outer(own - mean, own - mean) / len(people)
        for vector in vectors:
            within += np.outer(vector - own, vector - own) / len(vectors) / len(people)
    np.testing.assert_allclose(found.mean, mean)
    np.testing.assert_allclose(found.between, between, atol=1e-12)
    np.testing.assert_allclose(found.within, within, atol=1e-12)


def numpy_scores(batch: Batch, noise: float, ridge: float, power: float) -> np.ndarray:
    """Scores (M, M) by the printed equations, over all axes that the identities span."""
    labels = batch.labels.numpy()
    sides = []
    for store in (batch.faces, batch.voices):
        vectors = store.double().numpy()
        means = np.stack([vectors[labels == person].mean(axis=0) for person in range(labels.max() + 1)])
        within = sum(np.cov((vectors[labels == k]).T, bias=True) for k in range(len(means))) / len(means)
        centred = means - means.mean(axis=0)
        _, size, axes = np.linalg.svd(centred, full_matrices=False)
        axes = axes[size > 1e-8].T
        total = axes.T @ (centred.T @ centred / len(means) + noise * within) @ axes
        unit = np.trace(total) / len(total)
        values, turned = np.linalg.eigh(total / unit + ridge * np.eye(len(total)))
        root = turned / np.sqrt(values) @ turned.T / np.sqrt(unit)
        sides.append((centred @ axes @ root, (vectors - means.mean(axis=0)) @ axes @ root))
    (face_means, faces), (voice_means, voices) = sides
    left, size, right = np.linalg.svd(face_means.T @ voice_means / len(face_means))
    faces, voices = (side @ turn[:, : len(size)] * size**power for side, turn in ((faces, left), (voices, right.T)))
    faces, voices = (side / np.linalg.norm(side, axis=1, keepdims=True) for side in (faces, voices))
    return np.asarray(faces @ voices.T)


@pytest.mark.parametrize("noise, ridge, power", [(1.0, 0.1, 2.0), (3.0, 0.3, 4.0), (0.0, 1.0, 0.0)])
def test_scores_are_those_of_the_printed_equations(noise: float, ridge: float, power: float) -> None:
    batch = batch_of_pairs(13)
    found = cosines(fitted(batch, noise=noise, ridge=ridge, power=power), batch)
    np.testing.assert_allclose(found, numpy_scores(batch, noise, ridge, power), atol=2e-5)


def gaussian(people: int, each: int, seed: int) -> tuple[Batch, np.ndarray, np.ndarray]:
    """Vectors of people whose faces and voices follow one Gaussian, with its joint covariances C_xx, C_yy and C_xy."""
    truth = np.random.default_rng(7)
    shared = [truth.normal(size=(3, width)) * [[1.0], [0.8], [0.6]] for width in (12, 10)]
    own, spread = ([truth.normal(size=(4, width)) for width in (12, 10)] for _ in range(2))
    rng = np.random.default_rng(seed)
    latent = rng.normal(size=(people, 3))
    sides, covariances = [], []
    for side, width in enumerate((12, 10)):
        person = latent @ shared[side] + rng.normal(size=(people, 4)) @ own[side]
        noise = rng.normal(size=(people * each, 4)) @ spread[side] + rng.normal(size=(people * each, width))
        sides.append(torch.from_numpy((np.repeat(person, each, axis=0) + noise).astype(np.float32)))
        parts = (shared[side], own[side], spread[side])
        covariances.append(sum(part.T @ part for part in parts) + np.eye(width))
    labels = torch.arange(people).repeat_interleave(each)
    joint = np.block([[covariances[0], shared[0].T @ shared[1]], [shared[1].T @ shared[0], covariances[1]]])
    return Batch(labels, None, None, *sides, {}), joint, np.linalg.inv(joint)


def true_ratio(batch: Batch, joint: np.ndarray, precision: np.ndarray) -> np.ndarray:
    """log p(x, y) - log p(x) - log p(y) of every face with every voice, (M, M), without its constant."""
    faces, voices = batch.faces.double().numpy(), batch.voices.double().numpy()
    own = precision[:12, :12] - np.linalg.inv(joint[:12, :12]), precision[12:, 12:] - np.linalg.inv(joint[12:, 12:])
    lengths = (np.einsum("ni,ij,nj->n", side, part, side) for side, part in zip((faces, voices), own, strict=True))
    return np.asarray(-faces @ precision[:12, 12:] @ voices.T - 0.5 * np.add.outer(*lengths))


def test_with_many_people_the_score_is_the_true_likelihood_ratio() -> None:
    train, joint, precision = gaussian(20000, 3, seed=0)
    test = gaussian(300, 1, seed=1)[0]
    method = fitted(train, ridge=0.0, power=1.0, score="likelihood_ratio")
    face, voice = method.embed("face", test.faces), method.embed("voice", test.voices)
    found = -torch.cdist(face, voice).square().double().numpy()
    expected = true_ratio(test, joint, precision)
    difference = found - expected
    assert difference.std() < 0.05 * expected.std()
    same = np.eye(len(found), dtype=np.int64).reshape(-1)
    best = roc_auc(expected.reshape(-1), same)
    assert best > 80.0
    assert roc_auc(found.reshape(-1), same) == pytest.approx(best, abs=0.3)
    cosine = cosines(fitted(train, ridge=0.0, power=1.0), test).numpy()
    assert best - 6.0 < roc_auc(cosine.reshape(-1), same) < best


def test_likelihood_ratio_is_that_of_its_printed_equation() -> None:
    batch = batch_of_pairs(15)
    ratio = fitted(batch, score="likelihood_ratio")
    face, voice = ratio.embed("face", batch.faces), ratio.embed("voice", batch.voices)
    t = (1.0 - ratio.slack[:4]).double()  # five people have four directions
    scale = (t / (2.0 - 2.0 * t**2)).sqrt()
    f, v = face[:, :4].double() / scale, voice[:, :4].double() / scale
    expected = [[sum(t * a * b / (1 - t**2) - t**2 * (a**2 + b**2) / (2 * (1 - t**2))).item() for b in v] for a in f]
    found = -torch.cdist(face.double(), voice.double()).square() + 2.0 * ratio.reach
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64), atol=1e-3, rtol=1e-4)


def test_noise_of_one_is_the_covariance_of_a_single_vector() -> None:
    batch, joint, _ = gaussian(4000, 3, seed=0)
    for vectors, expected in ((batch.faces, joint[:12, :12]), (batch.voices, joint[12:, 12:])):
        found = two_covariances(vectors, batch.labels)
        np.testing.assert_allclose(found.between + found.within, expected, atol=0.06 * np.abs(expected).max())


def test_a_person_with_more_pairs_counts_no_more() -> None:
    batch = batch_of_pairs(15)
    often = torch.cat([torch.arange(15), *([torch.arange(0, 15, 5)] * 9)])  # the pairs of person 0 ten times
    heavy = replace(batch, labels=batch.labels[often], faces=batch.faces[often], voices=batch.voices[often])
    torch.testing.assert_close(cosines(fitted(heavy), batch), cosines(fitted(batch), batch), atol=1e-4, rtol=0.0)


def test_scale_offset_and_rotation_of_the_vectors_do_not_matter() -> None:
    batch = batch_of_pairs(15)
    turn = torch.linalg.qr(torch.randn(12, 12, generator=torch.Generator().manual_seed(2)))[0]
    moved = replace(batch, faces=5.0 * batch.faces @ turn + 2.0, voices=0.2 * batch.voices - 1.0)
    torch.testing.assert_close(cosines(fitted(moved), moved), cosines(fitted(batch), batch), atol=1e-3, rtol=0.0)


def test_more_components_than_people_are_what_there_is() -> None:
    batch = batch_of_pairs(15)  # five people span four axes
    few = fitted(batch, face_components=4, voice_components=4)
    torch.testing.assert_close(cosines(fitted(batch), batch), cosines(few, batch), atol=1e-4, rtol=0.0)


def test_people_who_are_all_alike_are_refused() -> None:
    batch = batch_of_pairs(10)
    alike = replace(batch, faces=torch.ones_like(batch.faces))
    with pytest.raises(ProtocolError, match="nothing can correlate"):
        fitted(alike)


def test_a_trained_run_reads_back_and_seeds_are_alike(tmp_path: Path) -> None:
    model = planted().train(settings("identity_cca", "own", epochs=1, seeds=[0, 1], **PLAIN)).model
    save_model(tmp_path / "model.safetensors", model)
    vectors = planted().faces[:5]
    found = load_model(tmp_path / "model.safetensors").embed("face", vectors)
    np.testing.assert_array_equal(found, model.embed("face", vectors))
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_allclose(np.linalg.norm(found[0], axis=1), 1.0, rtol=1e-5)


@pytest.mark.parametrize("score", ["cosine", "likelihood_ratio"])
def test_solves_the_planted_world_and_not_the_shuffled_one(score: str) -> None:
    assert_solves(settings("identity_cca", "own", epochs=1, **{**PLAIN, "score": score}))
