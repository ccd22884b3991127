"""What there is to split and to pair: the people of the manifest and their rows in the two stores."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.errors import ProtocolError
from pipeline.protocol.vocabulary import TRAITS

Codes = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Rows:
    """Whose and from which recording each row of a store is."""

    person: Codes  # (N,) position in Corpus.people
    clip: Codes  # (N,) position in Corpus.clips, one numbering for both stores


@dataclass(frozen=True)
class Corpus:
    """People with at least one embedding, and their rows."""

    people: pd.DataFrame  # identity, gender, nationality, age, modalities (both | face | voice); sorted by identity
    clips: pd.DataFrame  # person (position in people), clip (name); one row per recording of a person
    faces: Rows
    voices: Rows
    without_rows: int  # identities of the manifest that no embedding is left of

    @property
    def paired(self) -> Flags:
        """(P,) which people have both a face and a voice."""
        return np.asarray(self.people["modalities"] == "both", dtype=np.bool_)


def read_corpus(manifest: pd.DataFrame, faces: pd.DataFrame, voices: pd.DataFrame) -> Corpus:
    """Join the manifest with the indexes of the face and the voice store.

    Raises ProtocolError when both are empty, and for a row whose identity the manifest does not know.
    """
    rows = pd.concat([faces[["identity", "clip"]], voices[["identity", "clip"]]], ignore_index=True)
    if rows.empty:
        raise ProtocolError("no embedding at all: see artifacts/faces/skipped.csv and artifacts/voices/skipped.csv")
    names = np.array(sorted(set(rows["identity"])), dtype=object)
    person = pd.Index(names).get_indexer(rows["identity"]).astype(np.int64)
    clip_names, clip_code = _factorized(rows["clip"])
    pairs, clip = np.unique(person * len(clip_names) + clip_code, return_inverse=True)
    clips = pd.DataFrame({"person": pairs // len(clip_names), "clip": clip_names[pairs % len(clip_names)]})
    count = len(faces)
    face_rows, voice_rows = Rows(person[:count], clip[:count]), Rows(person[count:], clip[count:])
    people = _people(manifest, names)
    people["modalities"] = _modalities(len(names), face_rows, voice_rows)
    return Corpus(people, clips, face_rows, voice_rows, manifest["identity"].nunique() - len(names))


def _factorized(column: pd.Series) -> tuple[NDArray[np.object_], Codes]:
    codes, names = pd.factorize(column, sort=True)
    return np.asarray(names, dtype=object), np.asarray(codes, dtype=np.int64)


def _people(manifest: pd.DataFrame, names: NDArray[np.object_]) -> pd.DataFrame:
    known = manifest.groupby("identity", sort=True)[list(TRAITS)].first()  # the first value that is not missing
    strangers = [name for name in names if name not in known.index]
    if strangers:
        raise ProtocolError(
            f"{len(strangers)} identities have embeddings but no item in the manifest, first: {strangers[0]!r}; "
            "the stores are older than the manifest: run `dvc repro`"
        )
    return known.loc[list(names)].rename_axis("identity").reset_index()


def _modalities(people: int, faces: Rows, voices: Rows) -> list[str]:
    face = np.bincount(faces.person, minlength=people) > 0
    voice = np.bincount(voices.person, minlength=people) > 0
    return list(np.select([face & voice, face], ["both", "face"], default="voice"))
