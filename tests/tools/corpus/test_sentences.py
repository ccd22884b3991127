"""Sentences: stored with phonemes the model knows, and never repeated by one person."""

import pytest

from tools.corpus.ingredients import CACHE, KOKORO, phoneme_vocabulary
from tools.corpus.sentences import choose_sentence, sentences


def test_a_person_does_not_repeat_a_sentence() -> None:
    for person in range(1, 30):
        said = {choose_sentence(1, person, clip).text for clip in range(len(sentences()))}
        assert len(said) == len(sentences())


def test_people_say_different_things() -> None:
    assert len({choose_sentence(1, person, 0).text for person in range(1, 200)}) > 30


def test_every_phoneme_is_one_the_model_knows() -> None:
    if not (CACHE / KOKORO).exists():
        pytest.skip("the speech model is not here: run `python -m tools.corpus.fetch`")
    unknown = {p for sentence in sentences() for p in sentence.phonemes} - set(phoneme_vocabulary())
    assert not unknown
