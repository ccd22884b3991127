"""Fuzz the decoders and the stages: `python -m tools.benchmarks.fuzz_media [--mutants 2400] [--seed 0] [--only 17]`.

Exit code 1 if anything leaked, was skipped without a word, came back unsound or other the second time. `--only NUMBER
--keep FOLDER` writes one mutant again, which a report names, and decodes it alone.
"""

import argparse
import logging
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tools.benchmarks.fuzz_media.campaign import Findings, run_campaign
from tools.benchmarks.fuzz_media.mutations import Mutant, mutant
from tools.benchmarks.fuzz_media.originals import originals
from tools.benchmarks.fuzz_media.whole_stages import run_stages

_OUTCOMES = ("decoded", "refused", "crashed", "stopped")

logger = logging.getLogger("tools.benchmarks.fuzz_media")


def main() -> int:
    """Make the mutants, decode them all, send a sample through the stages, and tell."""
    arguments = _arguments()
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(message)s")
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        media = arguments.keep or Path(scratch) / "media"
        numbers = range(arguments.mutants) if arguments.only is None else [arguments.only]
        mutants = write_mutants(media, arguments.seed, numbers)
        findings = run_campaign([media / one.name for one in mutants], arguments.workers, arguments.seconds)
        counts: dict[str, int] = {}
        if arguments.stages and arguments.only is None:
            sample = [media / one.name for one in mutants[:: max(1, len(mutants) // arguments.stages)]]
            counts, missing = run_stages(Path(scratch), sample, arguments.workers)
            findings.faults += missing
    sys.stdout.write(_told(mutants, findings, counts))
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    sys.stdout.write(f"{time.monotonic() - start:.0f} s; largest process of a worker or stage {memory:.0f} MiB\n")
    return 1 if findings.faults else 0


def write_mutants(folder: Path, seed: int, numbers: Sequence[int]) -> list[Mutant]:
    """The mutants of these numbers, each in a file of its name."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as sound:
        sources = originals(Path(sound))
    mutants = [mutant(sources, seed, number) for number in numbers]
    for one in mutants:
        (folder / one.name).write_bytes(one.data)
    return mutants


def _told(mutants: Sequence[Mutant], findings: Findings, counts: dict[str, int]) -> str:
    lines = [
        f"{len(mutants)} mutants",
        "",
        "| decoding | file | " + " | ".join(_OUTCOMES) + " |",
        "|---|---|" + 4 * "---|",
    ]
    for name, suffix in dict.fromkeys((name, suffix) for name, suffix, _ in findings.counts):
        numbers = " | ".join(str(findings.counts[name, suffix, outcome]) for outcome in _OUTCOMES)
        lines.append(f"| {name} | {suffix[1:]} | {numbers} |")
    lines += ["", *(f"stages, {name}: {count}" for name, count in counts.items())]
    lines += [
        "",
        "most frequent reasons:",
        *(f"{count:6d} {reason}" for reason, count in findings.reasons.most_common(12)),
    ]
    lines += ["", f"caught by a worker's limits: {len(findings.caught)}", *findings.caught]
    how = {one.name: ", ".join(one.mutations) for one in mutants}
    lines += ["", f"faults: {len(findings.faults)}"]
    lines += [f"{fault} [{how.get(fault.split(':')[0].split('/')[-1], '')}]" for fault in findings.faults]
    return "\n".join(lines) + "\n"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tools.benchmarks.fuzz_media", description=__doc__)
    parser.add_argument("--mutants", type=int, default=2400)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=10.0, help="an item may take to decode")
    parser.add_argument("--stages", type=int, default=120, help="mutants that go through the stages, too; 0: none")
    parser.add_argument("--only", type=int, help="the number of one mutant")
    parser.add_argument("--keep", type=Path, help="folder to leave the mutants in")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
