"""Matching in nested galleries, where ties lose; R@K and mean average precision against a plain loop over rankings."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from pipeline.errors import ScoreError
from pipeline.metrics import IdentityResamples, matching_hits, mean_interval, retrieval_rates


def naive(scores: np.ndarray, queries: np.ndarray, gallery: np.ndarray) -> tuple[dict[int, float], float]:
    recall: dict[int, list[bool]] = {1: [], 5: [], 10: []}
    precisions = []
    for query, row in zip(queries, scores, strict=True):
        if query not in gallery:
            continue
        ranking = sorted(
            range(len(gallery)), key=lambda item, row=row, query=query: (-row[item], gallery[item] == query)
        )
        found = [gallery[item] == query for item in ranking]
        for depth, hits in recall.items():
            hits.append(any(found[:depth]))
        precisions.append(np.mean([np.mean(found[: rank + 1]) for rank, hit in enumerate(found) if hit]))
    return {depth: 100 * float(np.mean(hits)) for depth, hits in recall.items()}, 100 * float(np.mean(precisions))


@pytest.mark.parametrize("decimals", [6, 1, 0])
def test_rates_equal_those_of_a_plain_loop_with_and_without_ties(decimals: int) -> None:
    rng = np.random.default_rng(decimals)
    queries, gallery = rng.integers(0, 9, 30), rng.integers(1, 8, 40)  # some queries have nobody to find
    scores = (rng.normal(size=(30, 40)) + (queries[:, None] == gallery)).round(decimals).astype(np.float32)
    rates = retrieval_rates(scores, queries, gallery)
    recall, precision = naive(scores, queries, gallery)
    assert rates.recall == pytest.approx(recall)
    assert rates.mean_average_precision == pytest.approx(precision)
    assert rates.queries == np.isin(queries, gallery).sum() < 30


def test_interval_equals_copying_out_the_queries_of_each_resampled_person() -> None:
    rng = np.random.default_rng(7)
    queries, gallery = rng.integers(0, 9, 30), rng.integers(1, 8, 40)
    models = [(rng.normal(size=(30, 40)) + (queries[:, None] == gallery)).astype(np.float32) for _ in range(2)]
    rates = [retrieval_rates(scores, queries, gallery) for scores in models]
    people = rates[0].people
    resamples = IdentityResamples(people, 60, seed=0)
    found = {"recall": [], "precision": []}
    for drawn in resamples.multiplicities.T:
        copies = [
            position
            for position, query in enumerate(queries)
            if query in gallery
            for _ in range(drawn[np.flatnonzero(resamples.identities == query)[0]])
        ]
        again = [naive(scores[copies], queries[copies], gallery) for scores in models]
        found["recall"].append(np.mean([recall[5] for recall, _ in again]))
        found["precision"].append(np.mean([precision for _, precision in again]))
    for name, values in (
        ("recall", [model.hits(5) for model in rates]),
        ("precision", [model.precision for model in rates]),
    ):
        bounds = mean_interval(values, people, resamples, 0.9)
        assert [bounds.low, bounds.high] == pytest.approx(np.quantile(found[name], [0.05, 0.95]).tolist())
        assert bounds.low < bounds.high


def test_precision_equals_scikit_learns_where_nothing_ties() -> None:
    rng = np.random.default_rng(0)
    queries, gallery = np.array(["b", "a"]), rng.permutation(np.array(["a", "b", "c", "d"] * 25))
    scores = rng.normal(size=(2, 100)).astype(np.float32)
    expected = [average_precision_score(gallery == query, row) for query, row in zip(queries, scores, strict=True)]
    assert retrieval_rates(scores, queries, gallery).mean_average_precision == pytest.approx(100 * np.mean(expected))


def test_constant_scores_find_a_person_last() -> None:
    gallery = np.array([0] + [1] * 20)
    rates = retrieval_rates(np.zeros((1, 21), dtype=np.float32), [0], gallery)
    assert rates.recall == {1: 0.0, 5: 0.0, 10: 0.0}
    assert rates.mean_average_precision == pytest.approx(100 / 21)


def test_broken_rankings_are_refused() -> None:
    scores = np.zeros((2, 3), dtype=np.float32)
    with pytest.raises(ScoreError, match="do not fit 1 queries"):
        retrieval_rates(scores, ["a"], ["a", "b", "c"])
    with pytest.raises(ScoreError, match="nothing to find"):
        retrieval_rates(scores, ["x", "y"], ["a", "b", "c"])
    with pytest.raises(ScoreError, match="1 of 6"):
        retrieval_rates(np.where(np.arange(6).reshape(2, 3) == 4, np.nan, scores), ["a", "b"], ["a", "b", "c"])


def test_genuine_must_beat_the_first_impostors_only() -> None:
    genuine, impostors = [0.5], [[0.1, 0.2, 0.9]]
    assert [bool(matching_hits(genuine, impostors, size)[0]) for size in (2, 3, 4)] == [True, True, False]


def test_tie_with_an_impostor_is_an_error() -> None:
    assert matching_hits([0.5, 0.5], [[0.5], [0.4]], 2).tolist() == [False, True]
    assert not matching_hits(np.zeros(8), np.zeros((8, 9)), 10).any()


def test_accuracy_falls_as_galleries_grow_and_random_scores_find_one_in_n() -> None:
    rng = np.random.default_rng(0)
    genuine, impostors = rng.normal(size=20_000), rng.normal(size=(20_000, 9))
    accuracies = [100 * matching_hits(genuine, impostors, size).mean() for size in range(2, 11)]
    assert accuracies == sorted(accuracies, reverse=True)
    assert accuracies == pytest.approx([100 / size for size in range(2, 11)], abs=1.5)


@pytest.mark.parametrize(
    ("genuine", "impostors", "size", "message"),
    [
        ([0.5], [[0.1]], 3, "1:3 matching needs"),
        ([0.5], [[0.1]], 1, "1:1 matching"),
        ([0.5, 0.4], [[0.1]], 2, r"\(P, G\)"),
        ([], np.zeros((0, 3)), 2, r"\(P, G\)"),
        ([np.nan], [[0.1]], 2, "not finite"),
        ([0.5], [[np.inf]], 2, "not finite"),
    ],
)
def test_broken_galleries_are_refused(
    genuine: list[float], impostors: list[list[float]], size: int, message: str
) -> None:
    with pytest.raises(ScoreError, match=message):
        matching_hits(genuine, impostors, size)
