"""Ways to damage a media file, each a function of bytes and a random generator; a seed and a number name a mutant."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tools.benchmarks.fuzz_media.anatomy import Part, parts_of

Random = np.random.Generator
Mutation = Callable[[bytes, Random, Sequence[bytes]], bytes]  # the last are all originals, for splicing

_SMALL = 600  # bytes; a part's content up to that holds numbers rather than media
_HEADER = 256  # bytes
_SHARES = (0.6, 0.25, 0.15)  # of the mutants that are damaged in one, two, three ways: many must still decode


@dataclass(frozen=True)
class Mutant:
    """A damaged file, what it was and what was done to it."""

    name: str
    original: int  # index among the originals
    mutations: tuple[str, ...]
    data: bytes


def mutant(originals: Sequence[tuple[str, bytes]], seed: int, number: int) -> Mutant:
    """The mutant of this number: the originals (suffix, bytes) take turns; the same for the same seed, everywhere."""
    random = np.random.default_rng([seed, number])
    which = number % len(originals)
    suffix, data = originals[which]
    ways = 1 + int(random.choice(len(_SHARES), p=_SHARES))
    names = [str(name) for name in random.choice(sorted(MUTATIONS), size=ways)]
    for name in names:
        data = MUTATIONS[name](data, random, [original for _, original in originals])
    return Mutant(f"m{number:05d}{suffix}", which, tuple(names), data)


def flip_bits(data: bytes, random: Random, _: Sequence[bytes]) -> bytes:
    """One to 64 bits, anywhere."""
    return _flipped(data, random, len(data), int(2 ** random.uniform(0, 6)))


def flip_header_bits(data: bytes, random: Random, _: Sequence[bytes]) -> bytes:
    """One to eight bits near the start."""
    return _flipped(data, random, min(_HEADER, len(data)), int(random.integers(1, 9)))


def cut_off(data: bytes, random: Random, _: Sequence[bytes]) -> bytes:
    """Anywhere, or where a part begins or its content does; nothing may be left."""
    places = [place for part in parts_of(data) for place in (part.start, part.body)]
    if places and random.random() < 0.5:
        return data[: int(random.choice(places))]
    return data[: int(random.integers(0, len(data) + 1))]


def blank_out(data: bytes, random: Random, _: Sequence[bytes]) -> bytes:
    """A stretch of zeros, as a crashed download leaves; half the time to the end."""
    start = int(random.integers(0, len(data) + 1))
    stop = len(data) if random.random() < 0.5 else min(len(data), start + int(random.integers(1, 4096)))
    return data[:start] + bytes(stop - start) + data[stop:]


def overwrite(data: bytes, random: Random, _: Sequence[bytes]) -> bytes:
    """A stretch of noise."""
    start = int(random.integers(0, len(data) + 1))
    length = min(len(data) - start, int(2 ** random.uniform(0, 12)))
    return data[:start] + random.bytes(length) + data[start + length :]


def insert(data: bytes, random: Random, _: Sequence[bytes]) -> bytes:
    """A few bytes more, so that all after them lies elsewhere."""
    at = int(random.integers(0, len(data) + 1))
    return data[:at] + random.bytes(int(random.integers(1, 64))) + data[at:]


def swap_parts(data: bytes, random: Random, _: Sequence[bytes]) -> bytes:
    """Two parts, or two stretches where there are none, in each other's place."""
    first, second = sorted((_pick(data, random), _pick(data, random)), key=lambda part: (part.start, part.end))
    if first.end > second.start:  # one lies in the other
        return data
    middle = data[first.end : second.start]
    one, other = data[first.start : first.end], data[second.start : second.end]
    return data[: first.start] + other + middle + one + data[second.end :]


def drop_part(data: bytes, random: Random, _: Sequence[bytes]) -> bytes:
    """One part is missing."""
    part = _pick(data, random)
    return data[: part.start] + data[part.end :]


def repeat_part(data: bytes, random: Random, _: Sequence[bytes]) -> bytes:
    """One part twice, or up to 40 times if it is small."""
    part = _pick(data, random)
    times = int(random.integers(1, 40)) if part.end - part.start < _SMALL else 1
    return data[: part.end] + times * data[part.start : part.end] + data[part.end :]


def nest_part(data: bytes, random: Random, _: Sequence[bytes]) -> bytes:
    """A part within another, or within itself."""
    part, into = _pick(data, random), _pick(data, random)
    return data[: into.body] + data[part.start : part.end] + data[into.body :]


def lie_about_length(data: bytes, random: Random, _: Sequence[bytes]) -> bytes:
    """A part says it is longer, shorter, empty or endless."""
    part = _pick(data, random, lambda part: part.length_bytes > 0)
    most = 256**part.length_bytes - 1
    true = int.from_bytes(data[part.length_at : part.length_at + part.length_bytes], part.order)
    lies = [0, 1, 7, true - 1, true + 1, true // 2, 2 * true, len(data), most // 2, most // 2 + 1, most - 8, most]
    lie = min(most, max(0, int(random.choice(np.array(lies, dtype=np.int64)))))
    stated = lie.to_bytes(part.length_bytes, part.order)
    return data[: part.length_at] + stated + data[part.length_at + part.length_bytes :]


def edit_number(data: bytes, random: Random, _: Sequence[bytes]) -> bytes:
    """One to four fields in the content of a small part (rates, counts, sizes, tables) take extreme values."""
    edited = bytearray(data)
    for _time in range(int(random.integers(1, 5))):
        part = _pick(data, random, lambda part: 0 < part.end - part.body <= _SMALL)
        width = int(random.choice([1, 2, 4, 8]))
        at = part.body + int(random.integers(0, max(1, part.end - part.body)))
        top = 1 << (8 * width - 1)
        value = [0, 1, 2, top - 1, top, 2 * top - 1, int.from_bytes(random.bytes(width))][random.integers(7)]
        edited[at : at + width] = value.to_bytes(width)[: max(0, len(edited) - at)]
    return bytes(edited)


def rename_part(data: bytes, random: Random, _: Sequence[bytes]) -> bytes:
    """A part takes the name of another part of the file, or none that exists."""
    part = _pick(data, random, lambda part: part.name_bytes > 0)
    other = _pick(data, random, lambda other: other.name_bytes == part.name_bytes)
    name = data[other.name_at : other.name_at + part.name_bytes]
    if random.random() < 0.3 or len(name) != part.name_bytes:
        name = random.bytes(part.name_bytes)
    return data[: part.name_at] + name + data[part.name_at + part.name_bytes :]


def splice(data: bytes, random: Random, originals: Sequence[bytes]) -> bytes:
    """The start of this file and the end of another, of any kind."""
    other = originals[random.integers(len(originals))]
    return data[: int(random.integers(0, len(data) + 1))] + other[int(random.integers(0, len(other))) :]


_HOW: tuple[Mutation, ...] = (
    *(flip_bits, flip_header_bits, edit_number, lie_about_length, rename_part),
    *(cut_off, blank_out, overwrite, insert, splice),
    *(swap_parts, drop_part, repeat_part, nest_part),
)
MUTATIONS: dict[str, Mutation] = {mutation.__name__: mutation for mutation in _HOW}


def _flipped(data: bytes, random: Random, within: int, count: int) -> bytes:
    flipped = bytearray(data)
    for place in random.integers(0, within, size=count) if within else ():
        flipped[place] ^= 1 << int(random.integers(8))
    return bytes(flipped)


def _pick(data: bytes, random: Random, wanted: Callable[[Part], bool] = lambda part: True) -> Part:
    """Any part that is wanted; where there is none, a stretch, so that every mutation does something to every file."""
    if parts := [part for part in parts_of(data) if wanted(part)]:
        return parts[random.integers(len(parts))]
    start = int(random.integers(0, len(data) + 1))
    end = min(len(data), start + int(random.integers(0, _SMALL)))
    return Part(start, min(end, start + 4), end, start, min(4, end - start), "big", start, min(4, end - start))
