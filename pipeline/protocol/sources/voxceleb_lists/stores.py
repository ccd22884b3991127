"""Find the media that the lists name among the rows of the stores."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipeline.errors import ProtocolError
from pipeline.protocol.corpus import Codes
from pipeline.protocol.sources.voxceleb_lists.names import parse
from pipeline.protocol.sources.voxceleb_lists.release import People


@dataclass(frozen=True)
class Finder:
    """Rows of one store by the key of their utterance or frame."""

    keys: pd.Index  # unique
    rows: Codes  # (keys,) first row of each
    videos: pd.Series  # (N,) recording of every row, as the lists name it

    def find(self, keys: pd.Series) -> Codes:
        """(n,) row of each key, -1 where the store has none."""
        position = self.keys.get_indexer(keys)
        found = self.rows[position] if len(self.rows) else np.full(len(keys), -1)
        return np.where(position >= 0, found, -1).astype(np.int64)


def finder(index: pd.DataFrame, modality: str, people: People) -> Finder:
    """Read the items of a store's index as VoxCeleb1 paths.

    Raises ProtocolError when not one of them is, and for one whose identity in the manifest is not the path's.
    """
    media = parse(index["item"], modality, people.codes)
    known = media.key.notna().to_numpy()
    if len(index) and not known.any():
        raise ProtocolError(
            f"no item of the {modality} store is a VoxCeleb1 path, first: {index['item'].iloc[0]!r}; with "
            "protocol.source voxceleb_lists the media must lie as VoxCeleb1 does (manifest.layout voxceleb1)"
        )
    wrong = known & (media.person != index["identity"]).to_numpy()
    if wrong.any():
        row = index.iloc[int(np.argmax(wrong))]
        raise ProtocolError(f"item {row['item']!r} is of identity {row['identity']!r} in the manifest, not by its path")
    rows = np.flatnonzero(known)
    keys = pd.Index(media.key.to_numpy(dtype=object)[rows])
    first = ~keys.duplicated()
    return Finder(keys[first], rows[first], media.video)
