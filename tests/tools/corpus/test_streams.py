"""Streams: the same everywhere, different for every purpose."""

import numpy as np

from tools.corpus.streams import stream

GOLDEN = [0.9571401822811902, 0.7812366822398512, 0.5340543079773201]  # uniform draws of seed 2303, person 1


def test_a_stream_gives_the_numbers_it_gave_when_the_corpus_shipped() -> None:
    drawn = stream(2303, "latents", 1).random(3)
    np.testing.assert_allclose(drawn, GOLDEN, rtol=0, atol=1e-15)


def test_purpose_person_clip_and_seed_each_change_the_stream() -> None:
    names = [(1, "a", 1, 1), (2, "a", 1, 1), (1, "b", 1, 1), (1, "a", 2, 1), (1, "a", 1, 2)]
    first = {stream(*name).random() for name in names}
    assert len(first) == len(names)


def test_drawing_from_one_stream_moves_no_other() -> None:
    alone = stream(7, "shape", 3).random()
    stream(7, "hair", 3).random(1000)
    assert stream(7, "shape", 3).random() == alone
