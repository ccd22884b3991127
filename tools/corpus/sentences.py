"""What people say."""

import json
from dataclasses import dataclass
from functools import cache

from tools.corpus.settings import ROOM
from tools.corpus.streams import stream


@dataclass(frozen=True)
class Sentence:
    """A text and its phonemes in the model's alphabet."""

    text: str
    phonemes: str


@cache
def sentences() -> tuple[Sentence, ...]:
    """The sentences that people say; phonemes are stored, so that no phonemiser is needed."""
    rows = json.loads((ROOM / "sentences.json").read_text(encoding="utf-8"))
    return tuple(Sentence(row["text"], row["phonemes"]) for row in rows)


def choose_sentence(seed: int, person: int, clip: int) -> Sentence:
    """A person never says the same twice within as many clips as there are sentences."""
    order = stream(seed, "sentences", person).permutation(len(sentences()))
    return sentences()[int(order[clip % len(order)])]
