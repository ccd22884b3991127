"""Retrieval over the media that the trials name."""

from pipeline.evaluation import evaluate
from tests.pipeline.evaluation.planted import NoisyEncoder, planted_lists, settings, stores


def test_retrieval_thins_both_sides_to_the_bound() -> None:
    faces, voices = stores(0.7)
    lists = planted_lists(faces, voices)
    figures = evaluate(NoisyEncoder(2, 0.1), settings(retrieval_rows=30), lists, faces, voices).metrics["retrieval"]
    assert (figures["v2f"]["gallery"], figures["f2v"]["gallery"]) == (30, 30)
    assert 0 < figures["v2f"]["recall_1"] <= figures["v2f"]["recall_5"] <= figures["v2f"]["recall_10"] <= 100


def test_retrieval_has_an_interval_for_every_figure() -> None:
    faces, voices = stores(1.5)
    lists = planted_lists(faces, voices)
    retrieval = evaluate(NoisyEncoder(2, 0.1), settings(), lists, faces, voices).metrics["retrieval"]
    for direction in ("v2f", "f2v"):
        for name in ("recall_1", "recall_5", "recall_10", "mean_average_precision"):
            figures = [retrieval[direction][f"{name}{part}"] for part in ("_low", "", "_high")]
            assert figures == sorted(figures) and figures[0] < figures[2]
