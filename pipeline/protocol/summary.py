"""What the report's header says of a protocol."""

import numpy as np
import pandas as pd

from pipeline.protocol.corpus import Corpus, Flags
from pipeline.protocol.trials import Drawn
from pipeline.protocol.vocabulary import CROSS_MODAL
from pipeline.settings import ProtocolSettings


def summarise(
    corpus: Corpus,
    settings: ProtocolSettings,
    split: np.ndarray,
    training: Flags,
    held_out: Flags,
    train_pairs: pd.DataFrame,
    lists: list[Drawn],
) -> dict[str, object]:
    """Counts of people, rows and recordings, the lists that are absent, and the settings they were drawn with."""
    modalities = corpus.people["modalities"]
    in_split = {name: split == name for name in ("train", "validation", "test")}
    return {
        "source": settings.source,
        "seed": settings.seed,
        "settings": settings.model_dump(),
        "identities": {name: int(members.sum()) for name, members in in_split.items()},
        "identities_paired": {name: int((members & corpus.paired).sum()) for name, members in in_split.items()},
        "identities_face_only": int((modalities == "face").sum()),
        "identities_voice_only": int((modalities == "voice").sum()),
        "identities_without_rows": corpus.without_rows,
        "classes": int(training.sum()),
        "rows": {"faces": len(corpus.faces.person), "voices": len(corpus.voices.person)},
        "recordings": len(corpus.clips),
        "recordings_held_out": int(held_out.sum()),
        "train_pairs": len(train_pairs),
        CROSS_MODAL.name: any(len(drawn.table) for drawn in lists if f"/{CROSS_MODAL.name}/" in drawn.name),
        "absent": {drawn.name: drawn.reason for drawn in lists if not len(drawn.table)},
    }
