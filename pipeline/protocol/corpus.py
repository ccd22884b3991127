"""The people of the manifest and their rows in the two stores: what is split and paired."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from pipeline.errors import ProtocolError
from pipeline.protocol.vocabulary import PERSON_TRAITS, RECORDING_TRAITS, Modality

IntArray = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class StoreRows:
    """The person and the recording that each row of a store is of."""

    person: IntArray  # (N,) position in Corpus.people
    clip: IntArray  # (N,) position in Corpus.clips, one numbering for both stores
    traits: Mapping[str, IntArray]  # (N,) a code for each of RECORDING_TRAITS, the same in both stores; -1: unknown


@dataclass(frozen=True)
class Corpus:
    """People with at least one embedding, and their rows."""

    people: pd.DataFrame  # identity, PERSON_TRAITS, modalities (both | face | voice); sorted by identity
    clips: pd.DataFrame  # person (position in people), clip (name); one row per recording of a person
    faces: StoreRows
    voices: StoreRows
    without_rows: int  # identities of the manifest that no embedding is left of
    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # of the codes of RECORDING_TRAITS, by code

    @property
    def paired(self) -> Flags:
        """(P,) which people have both a face and a voice."""
        return np.asarray(self.people["modalities"] == "both", dtype=np.bool_)

    def rows(self, modality: Modality) -> StoreRows:
        """The rows of one store."""
        return self.faces if modality == "face" else self.voices

    def languages(self, face_rows: IntArray, voice_rows: IntArray) -> NDArray[np.object_]:
        """(n,) the language that a face and a voice are both in; empty where it is unknown of one, or two."""
        face, voice = self.faces.traits["language"][face_rows], self.voices.traits["language"][voice_rows]
        names = np.array([*self.values["language"], ""], dtype=object)
        return names[np.where(face == voice, face, -1)]

    def trait(self, modality: Modality, trait: str, age_bin: float) -> pd.Series:
        """(N,) what each row of a store has in a trait; missing where it is unknown. Ages are numbers of their bin."""
        rows = self.rows(modality)
        if trait in RECORDING_TRAITS:
            codes = pd.Series(rows.traits[trait], dtype="Int64")
            return codes.mask(codes < 0)
        return trait_in_bins(self.people, trait, age_bin).iloc[rows.person].reset_index(drop=True)


def trait_in_bins(people: pd.DataFrame, trait: str, age_bin: float) -> pd.Series:
    """A column of traits, one row a person; two ages are the same where they fall into one bin of `age_bin` years."""
    return people[trait] // age_bin if trait == "age" else people[trait]


def read_corpus(manifest: pd.DataFrame, faces: pd.DataFrame, voices: pd.DataFrame, by_bytes: bool = True) -> Corpus:
    """Join the manifest with the indexes of the face and the voice store.

    Clips of one person that hold the same file are one recording, under the name of the first: a trial of a file with
    its copy would be genuine at no distance, and a copy might be tested on while the file trains. `by_bytes` False is
    for indexes whose digests are not of one medium each.

    Traits of people are the first that the manifest gives of a person; traits of recordings are those of each row's
    item. Raises ProtocolError when both stores are empty, and for a row whose identity the manifest does not know.
    """
    columns = ["item", "identity", "clip", *(["digest"] if by_bytes else [])]
    rows = pd.concat([faces[columns], voices[columns]], ignore_index=True)
    if rows.empty:
        raise ProtocolError("no embedding at all: see artifacts/faces/skipped.csv and artifacts/voices/skipped.csv")
    names = np.array(sorted(set(rows["identity"])), dtype=object)
    person = pd.Index(names).get_indexer(rows["identity"]).astype(np.int64)
    clip_names, clip_code = _factorized(rows["clip"])
    pairs, clip = np.unique(person * len(clip_names) + clip_code, return_inverse=True)
    if by_bytes:
        first = _first_of_same_bytes(rows["digest"], person, clip)
        kept, clip = np.unique(first[clip], return_inverse=True)
        pairs = pairs[kept]
    clips = pd.DataFrame({"person": pairs // len(clip_names), "clip": clip_names[pairs % len(clip_names)]})
    traits, values = _recording_traits(manifest, rows["item"])
    face_rows, voice_rows = (
        StoreRows(person[part], clip[part], {name: codes[part] for name, codes in traits.items()})
        for part in (slice(0, len(faces)), slice(len(faces), None))
    )
    people = _people(manifest, names)
    people["modalities"] = _modalities(len(names), face_rows, voice_rows)
    return Corpus(people, clips, face_rows, voice_rows, manifest["identity"].nunique() - len(names), values)


def _first_of_same_bytes(digest: pd.Series, person: IntArray, clip: IntArray) -> IntArray:
    """(clips,) the first clip that holds a file of the same bytes, at once or by way of others; for most it is they."""
    count = int(clip.max()) + 1
    held = pd.DataFrame({"digest": digest, "person": person, "clip": clip}).drop_duplicates()
    held = held[held.duplicated(["digest", "person"], keep=False)]
    earliest = held.groupby(["digest", "person"])["clip"].transform("min").to_numpy()
    links = coo_array((np.ones(len(held)), (held["clip"].to_numpy(), earliest)), shape=(count, count))
    group = connected_components(links, directed=False)[1]
    first: IntArray = np.unique(group, return_index=True)[1][group].astype(np.int64)
    return first


def _factorized(column: pd.Series) -> tuple[NDArray[np.object_], IntArray]:
    codes, names = pd.factorize(column, sort=True)
    return np.asarray(names, dtype=object), np.asarray(codes, dtype=np.int64)


def _recording_traits(
    manifest: pd.DataFrame, items: pd.Series
) -> tuple[dict[str, IntArray], dict[str, tuple[str, ...]]]:
    """Codes of each row and, by code, the values."""
    known = manifest.drop_duplicates("item").set_index("item")
    found = {name: _factorized(known[name].reindex(items).reset_index(drop=True)) for name in RECORDING_TRAITS}
    values = {name: tuple(map(str, names)) for name, (names, _) in found.items()}
    return {name: codes for name, (_, codes) in found.items()}, values


def _people(manifest: pd.DataFrame, names: NDArray[np.object_]) -> pd.DataFrame:
    known = manifest.groupby("identity", sort=True)[list(PERSON_TRAITS)].first()  # the first value that is not missing
    strangers = [name for name in names if name not in known.index]
    if strangers:
        raise ProtocolError(
            f"{len(strangers)} identities have embeddings but no item in the manifest, first: {strangers[0]!r}; "
            "the stores are older than the manifest: run `dvc repro`"
        )
    return known.loc[list(names)].rename_axis("identity").reset_index()


def _modalities(people: int, faces: StoreRows, voices: StoreRows) -> list[str]:
    face = np.bincount(faces.person, minlength=people) > 0
    voice = np.bincount(voices.person, minlength=people) > 0
    return list(np.select([face & voice, face], ["both", "face"], default="voice"))
