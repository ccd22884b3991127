"""Forced choice against its equations; it is judged by matching, for it scores galleries alone."""

import numpy as np
import pytest
import torch

from pipeline.errors import ConfigError, ScoreError
from pipeline.evaluation import evaluate
from pipeline.methods import Sizes, build_method
from pipeline.methods.svhf import SVHF
from pipeline.scoring import Model
from pipeline.training import train_run
from tests.pipeline.evaluation import planted as evaluated
from tests.pipeline.methods.rivals import batch_of_pairs, built, planted, settings, shuffled
from tests.pipeline.training.world import CPU, ROWS, World


def network() -> SVHF:
    method = built("svhf").eval()
    assert isinstance(method, SVHF)
    return method


def written_out(method: SVHF, voice: torch.Tensor, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Probabilities (2,) of two faces for a voice, of a network that was not trained and stands in evaluation mode."""

    def layer(dense: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
        return ((dense.linear.weight @ x + dense.linear.bias) / (1.0 + 1e-5) ** 0.5).clamp_min(0.0)

    choice = method.of_voice
    streams = [layer(choice.candidate, first), layer(choice.candidate, second), layer(choice.probe, voice)]
    hidden = layer(choice.layers[1], layer(choice.layers[0], torch.cat(streams)))
    logits = choice.logits.weight @ hidden + choice.logits.bias
    return logits.exp() / logits.exp().sum()


@torch.no_grad()
def test_score_is_the_mean_probability_to_win_in_either_order() -> None:
    method, batch = network(), batch_of_pairs()
    galleries = torch.stack([batch.faces[:3], batch.faces[3:6]])
    scores = method.score("voice", batch.voices[:2], "face", galleries)
    for probe, gallery, row in zip(batch.voices, galleries, scores, strict=False):
        for i in range(3):
            others = [gallery[j] for j in range(3) if j != i]
            wins = [written_out(method, probe, gallery[i], other)[0] for other in others]
            wins += [written_out(method, probe, other, gallery[i])[1] for other in others]
            torch.testing.assert_close(row[i], sum(wins) / 4)


@torch.no_grad()
def test_scores_of_two_add_up_to_one_and_do_not_depend_on_their_order() -> None:
    method, batch = network(), batch_of_pairs()
    gallery = torch.stack([batch.voices, batch.voices.flip(0)], dim=1)
    scores = method.score("face", batch.faces, "voice", gallery)
    torch.testing.assert_close(scores.sum(dim=1), torch.ones(12))
    torch.testing.assert_close(scores.flip(1), method.score("face", batch.faces, "voice", gallery.flip(1)))


def test_same_modality_is_refused() -> None:
    batch = batch_of_pairs()
    with pytest.raises(ScoreError, match="compares faces with voices"):
        network().score("face", batch.faces, "face", batch.faces[:, None])


def test_loss_is_cross_entropy_of_the_place_of_the_right_one() -> None:
    batch, method = batch_of_pairs(), network()
    with torch.no_grad():  # in evaluation mode, so that rows do not depend on each other
        torch.manual_seed(3)
        places = torch.randint(2, (12,)).tolist()
        torch.manual_seed(3)
        found = method.of_voice.loss(batch.voices, batch.faces, batch.faces.roll(1, 0))
        expected = 0.0
        for i, place in enumerate(places):
            shown = [batch.faces[i], batch.faces[i - 1]]
            chances = written_out(method, batch.voices[i], shown[place], shown[1 - place])
            expected -= float(chances[place].log()) / 12
    assert float(found) == pytest.approx(expected, rel=1e-4)


def accuracy(model: Model, world: World, size: int = 4) -> float:
    """Percent of unseen voices to which the face of the person is chosen out of `size` people's."""
    rng, first = np.random.default_rng(0), 70
    probes = np.arange(first * ROWS, len(world.voices))
    shift = np.stack([rng.permutation(np.arange(1, 60))[: size - 1] for _ in probes])
    people = (probes // ROWS - first)[:, None] + np.concatenate([np.zeros((len(probes), 1), int), shift], axis=1)
    rows = (people % 60 + first) * ROWS + rng.integers(0, ROWS, people.shape)
    scores = model.score("voice", world.voices[probes], "face", world.faces[rows])[0]
    return float(100.0 * (scores[:, 0] > scores[:, 1:].max(axis=1)).mean())


def test_solves_the_planted_galleries_and_not_the_shuffled_ones() -> None:
    run = settings("svhf", "own", epochs=25)
    solved, control = (
        accuracy(train_run(run, world.lists, world.faces, world.voices, CPU).model, world)
        for world in (planted(), shuffled())
    )
    assert solved > 60.0, solved
    assert 15.0 < control < 35.0, control


def test_matching_shows_a_gallery_of_two_no_more_than_two() -> None:
    faces, voices = evaluated.stores(0.3)
    width = faces.matrix.shape[1]
    method = build_method(settings("svhf", "own"), Sizes(width, width, 3), torch.Generator().manual_seed(0)).eval()
    asked = []
    score = method.score

    def seen(left: str, probes: torch.Tensor, right: str, candidates: torch.Tensor) -> torch.Tensor:
        asked.append(candidates.shape[1])
        return score(left, probes, right, candidates)

    method.score = seen  # type: ignore[method-assign]
    model = Model([method], settings("svhf", "own").model_dump(), method.sizes, (1,), {})
    lists = evaluated.planted_lists(faces, voices)
    found = evaluate(model, evaluated.settings(), lists, faces, voices).metrics
    assert set(found) == {"matching", "calibration"}  # which has reasons only
    assert set(asked) == {2, 4}
    assert found["matching"]["v2f"]["2"]["accuracy"] > found["matching"]["v2f"]["4"]["accuracy"]


def test_it_cannot_be_chosen_on_trials() -> None:
    with pytest.raises(ConfigError, match="selection: last"):
        built("svhf", selection="validation")
