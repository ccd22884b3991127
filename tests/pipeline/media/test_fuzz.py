"""Sixty mutants of the fuzzer through a decode worker; all of them: `python -m tools.benchmarks.fuzz_media`."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from tools.benchmarks.fuzz_media.__main__ import write_mutants
from tools.benchmarks.fuzz_media.anatomy import parts_of
from tools.benchmarks.fuzz_media.campaign import run_campaign
from tools.benchmarks.fuzz_media.mutations import MUTATIONS, mutant
from tools.benchmarks.fuzz_media.originals import originals

MUTANTS = 60


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, bytes]]:
    return originals(tmp_path_factory.mktemp("sound"))


def test_every_mutant_comes_back_decoded_or_with_a_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SBNET_ITEM_SECONDS", "")  # so that the campaign's own is taken back at the end
    mutants = write_mutants(tmp_path, 20, range(MUTANTS))
    findings = run_campaign([tmp_path / one.name for one in mutants], workers=1, seconds=20.0)
    assert findings.faults == [] and findings.caught == []
    for name in ("probe", "waveform", "frames"):
        outcomes: Counter[str] = Counter()
        for (decoding, _, outcome), count in findings.counts.items():
            outcomes[outcome] += count if decoding == name else 0
        assert outcomes.total() == MUTANTS and outcomes["decoded"] and outcomes["refused"], (name, outcomes)


def test_mutants_are_the_same_for_the_same_seed_and_others_for_another(sources: list[tuple[str, bytes]]) -> None:
    first, again = ([mutant(sources, 3, number) for number in range(48)] for _ in range(2))
    assert first == again
    other = [mutant(sources, 4, number) for number in range(48)]
    assert sum(a.data != b.data for a, b in zip(first, other, strict=True)) > 40


@pytest.mark.parametrize("name", sorted(MUTATIONS))
def test_each_mutation_bears_any_bytes_and_damages_most_media(name: str, sources: list[tuple[str, bytes]]) -> None:
    media = [data for _, data in sources]
    changed = [MUTATIONS[name](data, np.random.default_rng(i), media) != data for i, data in enumerate(4 * media)]
    assert np.mean(changed) > 0.5
    for data in (b"", b"\0", b"RIFF", b"fLaC\xff", b"\xff\xd8\xff", b"\0\0\0\x01moov", b"\0\0\0\0moov" * 3):
        for seed in range(8):
            assert isinstance(MUTATIONS[name](data, np.random.default_rng(seed), media), bytes)


def test_the_anatomy_finds_the_parts_that_a_sound_file_has(sources: list[tuple[str, bytes]]) -> None:
    for suffix, data in sources:
        parts = parts_of(data)
        names = {data[part.name_at : part.name_at + part.name_bytes] for part in parts if part.name_bytes}
        wanted = {
            ".mp4": {b"ftyp", b"moov", b"trak", b"mdat"},
            ".wav": {b"WAVE", b"fmt ", b"data"},
            ".flac": {b"\0", b"\xff\xf8"},
            ".jpg": {b"\xc4", b"\xda"},
        }[suffix]
        assert wanted <= names, suffix
        assert all(part.start <= part.body <= part.end <= len(data) for part in parts)
