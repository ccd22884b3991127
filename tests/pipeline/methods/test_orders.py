"""Orders, seen in their batches."""

import numpy as np
import pytest

from pipeline.errors import ProtocolError
from pipeline.methods.orders import Plan, plan_of_pairs, plan_of_samples
from tests.pipeline.settings_for_training import train_settings

PAIRS, BATCH = 100, 16


def batches(epoch: int = 0, seed: int = 3, pairs: int = PAIRS, **changes: object) -> Plan:
    return plan_of_samples(train_settings(batch_size=BATCH, **changes), people(pairs), epoch, seed)


def whole_pairs(pairs: int) -> Plan:
    return plan_of_pairs(train_settings(batch_size=BATCH), people(pairs), 0, 3)


def people(pairs: int) -> np.ndarray:
    return np.arange(pairs) % 7


@pytest.mark.parametrize(("order", "first"), [("vfvf", True), ("fvfv", False)])
def test_interleaved_orders_alternate_the_modalities_of_a_pair(order: str, first: bool) -> None:
    found = batches(order=order)
    voice, pair = found.voice.reshape(-1), found.pair.reshape(-1)
    assert (voice[0::2] == first).all()
    assert (voice[1::2] != first).all()
    assert (pair[0::2] == pair[1::2]).all()


@pytest.mark.parametrize(("order", "first"), [("hefhev", False), ("hevhef", True)])
def test_halved_orders_show_one_modality_whole_then_the_other(order: str, first: bool) -> None:
    found = batches(order=order)
    voice = found.voice.reshape(-1)
    assert (voice[:PAIRS] == first).all()
    assert (voice[PAIRS:] != first).all()
    pure = [len(set(row)) == 1 for row in found.voice]
    assert sum(pure) == len(pure) - 1  # 100 is no multiple of 16: one batch holds the seam


def test_both_halves_keep_the_same_order_of_pairs() -> None:
    pair = batches(order="hefhev").pair.reshape(-1)
    count = len(pair) - PAIRS
    assert (pair[:count] == pair[PAIRS:]).all()


def test_random_order_mixes_modalities_and_tears_pairs_apart() -> None:
    found = batches(order="random")
    assert all(0 < row.sum() < BATCH for row in found.voice)
    pair = found.pair.reshape(-1)
    assert (pair[0::2] == pair[1::2]).mean() < 0.1


@pytest.mark.parametrize("k", [1, 2, 3, 5])
def test_alternating_shows_k_epochs_of_faces_then_k_of_voices(k: int) -> None:
    shown = [set(batches(epoch, order="alternate", alternate_epochs=k).voice.reshape(-1)) for epoch in range(4 * k)]
    assert shown == ([{False}] * k + [{True}] * k) * 2


@pytest.mark.parametrize(("modality", "voice"), [("face", False), ("voice", True)])
@pytest.mark.parametrize("order", ["vfvf", "hefhev", "random", "alternate"])
def test_one_modality_alone_whatever_the_order(modality: str, voice: bool, order: str) -> None:
    found = batches(epoch=1, modality=modality, order=order)
    assert (found.voice == voice).all()
    assert found.pair.shape == (PAIRS // BATCH, BATCH)


@pytest.mark.parametrize("order", ["vfvf", "fvfv", "random", "hefhev", "hevhef"])
def test_every_sample_comes_once_an_epoch_but_for_the_dropped_end(order: str) -> None:
    found = batches(order=order, pairs=104)  # 208 samples, 13 whole batches
    samples = set(zip(found.pair.reshape(-1).tolist(), found.voice.reshape(-1).tolist(), strict=True))
    assert len(samples) == 208
    shorter = batches(order=order)  # 200 samples, 12 batches and 8 dropped
    assert shorter.pair.shape == (12, BATCH)


def test_whole_pairs_are_seen_once_each() -> None:
    found = whole_pairs(96)
    assert sorted(found.pair.reshape(-1).tolist()) == list(range(96))


@pytest.mark.parametrize("order", ["vfvf", "random", "hefhev"])
def test_shuffled_once_every_epoch_is_the_first(order: str) -> None:
    first, later = batches(0, order=order, shuffle="once"), batches(7, order=order, shuffle="once")
    assert np.array_equal(first.pair, later.pair)
    assert np.array_equal(first.voice, later.voice)


@pytest.mark.parametrize("order", ["vfvf", "random", "hefhev"])
def test_shuffled_each_epoch_no_epoch_is_another(order: str) -> None:
    first, later = batches(0, order=order, shuffle="epoch"), batches(1, order=order, shuffle="epoch")
    assert not np.array_equal(first.pair, later.pair)


def test_pairs_are_shuffled_even_once() -> None:
    assert not np.array_equal(batches(shuffle="once").pair.reshape(-1)[::2], np.arange(96))


def test_seed_and_epoch_alone_decide() -> None:
    assert np.array_equal(batches(4, seed=1).pair, batches(4, seed=1).pair)
    assert not np.array_equal(batches(4, seed=1).pair, batches(4, seed=2).pair)


def test_fewer_samples_than_a_batch_make_one_batch() -> None:
    found = batches(pairs=5)
    assert found.pair.shape == (1, 10)
    assert whole_pairs(5).pair.shape == (1, 5)


@pytest.mark.parametrize(("pairs", "changes"), [(0, {}), (1, {"modality": "face"})])
def test_too_few_samples_for_batch_normalisation_are_refused(pairs: int, changes: dict[str, str]) -> None:
    with pytest.raises(ProtocolError, match="too few"):
        batches(pairs=pairs, **changes)
    with pytest.raises(ProtocolError, match="too few"):
        whole_pairs(pairs)
