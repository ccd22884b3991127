"""Embeddings with a known truth: what a face and a voice share of a person is planted in them.

A person has attributes distributed as VoxCeleb1's, and a latent of which either modality shows a little. It reads these
coordinates with a deviation of its own, knows private ones besides, and sees all of them through its recording and its
row. A random network of two layers makes a unit vector of the coordinates, so that nothing linear is the best there is.
The strengths below bring recipe `official` near the paper's own figures; how near, tools/benchmarks/README.md says.

Two attributes are strong: gender, and a first language other than English, which one person in ten has. Both are of two
kinds, so that people who agree in them are no easier to tell apart; what would tell them apart (age, the latent)
is weak. That is what brings methods which look for everything near to recipe `official`, which finds what is strong:
with a strong attribute of many values instead, such as age, they lay ten points of EER ahead.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float32]
Vector = NDArray[np.float64]
Codes = NDArray[np.int64]


@dataclass(frozen=True)
class Strengths:
    """What one modality shows of a person: deviations, beside the 1 of its own reading of each coordinate."""

    gender: float = 6.0  # one coordinate, plus or minus this
    age: float = 2.2  # one coordinate, this by a deviation of AGE_SCALE years
    accent: float = 9.0  # one coordinate: twice this between ACCENTED nationalities and the others
    shared: float = 0.3  # SHARED coordinates, whose deviation this is over people
    private: float = 1.0  # PRIVATE coordinates that the other modality does not know
    recording: float = 0.2  # of private coordinates, the same in all rows of a recording, not in the other modality
    row: float = 0.2  # of private coordinates, in each row
    poor: float = 0.05  # share of the rows that are poor: turned away, noisy, short; their `row` is POOR times as much


FACE = Strengths(recording=0.3, row=0.4, poor=0.10)
VOICE = Strengths(recording=0.2, row=0.24, poor=0.08)
SHARED, PRIVATE = 16, 64  # coordinates
STEADY = 0.4  # what recordings and rows change in the coordinates that may help across, beside the private ones
POOR = 5.0
DIMENSION = 512

WOMEN = 0.448  # of VoxCeleb1's 1,251 people
AGES = {"f": (36.0, 11.0), "m": (49.0, 13.0)}  # mean and deviation, years; VoxCeleb1 publishes none, but that its women
AGE_RANGE, AGE_MEAN, AGE_SCALE = (18, 80), 44.0, 14.0  # are younger shows: of impostors of one age 58 % share a gender
NATIONALITIES = {  # shares in VoxCeleb1; its 25 rarest, 4 % together, as four
    "usa": 0.639,
    "uk": 0.172,
    "canada": 0.043,
    "australia": 0.030,
    "india": 0.021,
    "norway": 0.016,
    "ireland": 0.014,
    "germany": 0.007,
    "italy": 0.006,
    "new zealand": 0.006,
    "mexico": 0.006,
    "sweden": 0.010,
    "spain": 0.010,
    "russia": 0.010,
    "philippines": 0.010,
}
ACCENTED = ("india", "norway", "germany", "italy", "mexico", "sweden", "spain", "russia", "philippines")


@dataclass(frozen=True)
class People:
    """What is true of P people, whatever shows it."""

    gender: NDArray[np.str_]  # (P,) f | m
    age: Vector  # (P,) years
    nationality: Codes  # (P,) position in NATIONALITIES
    shared: Vector  # (P, SHARED)

    @property
    def nationalities(self) -> NDArray[np.str_]:
        """(P,) names."""
        return np.array(list(NATIONALITIES))[self.nationality]


@dataclass(frozen=True)
class Rows:
    """The rows of one modality, sorted by person and recording."""

    vectors: Matrix  # (N, DIMENSION) unit norm; voices have no negative value, as the aggregator's have none
    person: Codes  # (N,)
    seen: Matrix  # (N, 3 + SHARED) the coordinates that may help across, as the row has them
    deviation: Vector  # (N,) of each of these from what is true of the person


@dataclass(frozen=True)
class Planted:
    """A world."""

    people: People
    faces: Rows
    voices: Rows


def planted(
    people: int, recordings: int, rows: int, seed: int, face: Strengths = FACE, voice: Strengths = VOICE
) -> Planted:
    """`people` with `recordings` each, of which each has `rows` faces and as many voices."""
    truth = _people(people, np.random.default_rng([seed, 0]))
    faces = _rows(truth, face, recordings, rows, np.random.default_rng([seed, 1]))
    voices = _rows(truth, voice, recordings, rows, np.random.default_rng([seed, 2]))
    return Planted(truth, faces, _without_negative_values(voices))


def _people(count: int, rng: np.random.Generator) -> People:
    gender = np.where(rng.random(count) < WOMEN, "f", "m")
    mean, deviation = (np.where(gender == "f", *(AGES[name][part] for name in ("f", "m"))) for part in (0, 1))
    age = np.clip(rng.normal(mean, deviation), *AGE_RANGE).round()
    nationality = rng.choice(len(NATIONALITIES), count, p=nationality_shares())
    return People(gender, age, nationality, rng.standard_normal((count, SHARED)))


def nationality_shares() -> Vector:
    """Of NATIONALITIES, in their order; they sum to 1."""
    shares = np.array(list(NATIONALITIES.values()))
    return np.asarray(shares / shares.sum())


def accents() -> Vector:
    """Of NATIONALITIES, in their order: 2 between those that are ACCENTED and the others, 0 on average over people."""
    accented = np.isin(list(NATIONALITIES), ACCENTED)
    return np.asarray(2.0 * (accented - nationality_shares() @ accented))


def signal(people: People, strengths: Strengths) -> Vector:
    """(P, 3 + SHARED) what a modality would show of people if it read and saw without deviations."""
    gender = np.where(people.gender == "f", 1.0, -1.0)
    return np.column_stack(
        [
            strengths.gender * gender,
            strengths.age * (people.age - AGE_MEAN) / AGE_SCALE,
            strengths.accent * accents()[people.nationality],
            strengths.shared * people.shared,
        ]
    )


def _rows(people: People, strengths: Strengths, recordings: int, rows: int, rng: np.random.Generator) -> Rows:
    read = signal(people, strengths)
    across = read.shape[1]
    read = read + rng.standard_normal(read.shape)
    private = strengths.private * rng.standard_normal((len(read), PRIVATE))
    change = np.where(np.arange(across + PRIVATE) < across, STEADY, 1.0).astype(np.float32)  # of each coordinate
    seen = np.repeat(np.column_stack([read, private]).astype(np.float32), recordings, axis=0)
    seen += strengths.recording * change * rng.standard_normal(seen.shape, dtype=np.float32)
    seen = np.repeat(seen, rows, axis=0)
    noise = strengths.row * np.where(rng.random(len(seen)) < strengths.poor, POOR, 1.0)
    seen += noise[:, None].astype(np.float32) * change * rng.standard_normal(seen.shape, dtype=np.float32)
    deviation = np.sqrt(1.0 + STEADY**2 * (strengths.recording**2 + noise**2))
    person = np.repeat(np.arange(len(read)), recordings * rows)
    return Rows(_unit(_mixed(seen, rng)), person, seen[:, :across], deviation)


def _mixed(seen: Matrix, rng: np.random.Generator) -> Matrix:
    """(N, C) through two random layers with tanh between them, which then works where it bends, (N, DIMENSION)."""
    first = rng.standard_normal((seen.shape[1], DIMENSION), dtype=np.float32)
    first /= np.sqrt((seen**2).sum(axis=1).mean())
    second = rng.standard_normal((DIMENSION, DIMENSION), dtype=np.float32)
    mixed: Matrix = np.tanh(seen @ first) @ second
    return mixed


def _without_negative_values(rows: Rows) -> Rows:
    return replace(rows, vectors=_unit(np.maximum(rows.vectors, 0.0)))


def _unit(matrix: Matrix) -> Matrix:
    unit: Matrix = matrix / np.linalg.norm(matrix, axis=1, keepdims=True)
    return unit
