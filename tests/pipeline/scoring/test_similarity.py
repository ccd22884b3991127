"""The one score of two vectors."""

import numpy as np
import pytest

from pipeline.scoring.similarity import similarity, similarity_table


def test_similarity_is_minus_the_squared_distance_over_any_leading_axes() -> None:
    left, right = np.float32([0.6, 0.8]), np.float32([1.0, 0.0])
    assert similarity(left, right) == pytest.approx(-0.8)
    assert similarity(np.tile(left, (3, 2, 1)), np.tile(right, (3, 2, 1))).shape == (3, 2)


def test_table_holds_the_similarity_of_every_pair() -> None:
    rng = np.random.default_rng(0)
    queries, gallery = rng.standard_normal((5, 7)).astype(np.float32), rng.standard_normal((3, 7)).astype(np.float32)
    table = similarity_table(queries, gallery)
    for row, query in enumerate(queries):
        for column, item in enumerate(gallery):
            assert table[row, column] == pytest.approx(float(similarity(query, item)), abs=1e-4)


def test_unit_vectors_are_ordered_as_by_their_cosine() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((2, 50, 8))
    left, right = (part / np.linalg.norm(part, axis=1, keepdims=True) for part in vectors)
    cosines = (left * right).sum(axis=1)
    np.testing.assert_allclose(similarity(left, right), 2.0 * cosines - 2.0, atol=1e-6)
