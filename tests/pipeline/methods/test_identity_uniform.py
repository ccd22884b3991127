"""Order identity_uniform, counted batch by batch: who is in it, how often, and with which pairs."""

from collections import Counter

import numpy as np
import pytest

from pipeline.methods.orders import Plan, plan_of_pairs, plan_of_samples
from tests.pipeline.settings_for_training import train_settings

# Five people with 40, 3, 11, 1 and 25 pairs, mixed.
LABELS = np.random.default_rng(0).permutation(np.repeat(np.arange(5), [40, 3, 11, 1, 25]))
SIZES = [4, 8, 16, 24]  # fewer places than people, as many and more; a pair of samples takes two


def samples(batch: int, epoch: int = 0, seed: int = 3, **changes: object) -> Plan:
    settings = train_settings(order="identity_uniform", batch_size=batch, **changes)
    return plan_of_samples(settings, LABELS, epoch, seed)


def pairs(batch: int, epoch: int = 0, seed: int = 3) -> Plan:
    settings = train_settings(method="two_branch", order="identity_uniform", batch_size=batch)
    return plan_of_pairs(settings, LABELS, epoch, seed)


ENTERING = {  # rows of the pairs that enter each batch
    "pairs": lambda batch: pairs(batch).pair,
    "samples": lambda batch: samples(batch).pair[:, ::2],
    "one modality": lambda batch: samples(batch, modality="voice").pair,
}


@pytest.mark.parametrize("batch", SIZES)
@pytest.mark.parametrize("kind", ENTERING)
def test_everybody_is_in_a_batch_equally_often_or_once_more(kind: str, batch: int) -> None:
    total = dict.fromkeys(range(5), 0)
    for rows in ENTERING[kind](batch):
        times = dict.fromkeys(range(5), 0)
        for row in rows:
            times[int(LABELS[row])] += 1
            total[int(LABELS[row])] += 1
        assert max(times.values()) - min(times.values()) <= 1
    assert max(total.values()) - min(total.values()) <= 1  # in the epoch, too


@pytest.mark.parametrize("batch", SIZES)
@pytest.mark.parametrize("kind", ENTERING)
def test_all_pairs_of_a_person_come_before_one_comes_again(kind: str, batch: int) -> None:
    came = Counter(row for rows in ENTERING[kind](batch) for row in rows.tolist())
    for person in range(5):
        times = [came[int(row)] for row in np.flatnonzero(person == LABELS)]
        assert max(times) - min(times) <= 1


def test_samples_are_voice_and_face_of_one_pair_side_by_side() -> None:
    found = samples(16)
    assert (found.pair[:, 0::2] == found.pair[:, 1::2]).all()
    assert found.voice[:, 0::2].all() and not found.voice[:, 1::2].any()


@pytest.mark.parametrize("batch", [8, 16])
def test_an_epoch_is_as_long_as_one_of_another_order(batch: int) -> None:
    for changes in ({}, {"modality": "face"}):
        other = plan_of_samples(train_settings(order="random", batch_size=batch, **changes), LABELS, 0, 3)
        assert samples(batch, **changes).pair.shape == other.pair.shape
    other = plan_of_pairs(train_settings(method="two_branch", batch_size=batch), LABELS, 0, 3)
    assert pairs(batch).pair.shape == other.pair.shape


def test_a_batch_of_odd_size_tears_no_pair_apart() -> None:
    assert samples(17).pair.shape == (2 * len(LABELS) // 17, 16)


def test_one_modality_is_seen_alone() -> None:
    assert samples(8, modality="voice").voice.all()
    assert not samples(8, modality="face").voice.any()


def test_seed_and_epoch_alone_decide() -> None:
    assert np.array_equal(samples(16, epoch=4).pair, samples(16, epoch=4).pair)
    assert not np.array_equal(samples(16, epoch=4).pair, samples(16, epoch=5).pair)
    assert not np.array_equal(samples(16, seed=1).pair, samples(16, seed=2).pair)
    assert np.array_equal(samples(16, epoch=4, shuffle="once").pair, samples(16, shuffle="once").pair)


def test_pairs_that_an_epoch_leaves_out_come_in_others() -> None:
    assert len(set(pairs(16).pair.reshape(-1).tolist())) < len(LABELS)
    seen = {int(row) for epoch in range(20) for row in pairs(16, epoch=epoch).pair.reshape(-1)}
    assert seen == set(range(len(LABELS)))
