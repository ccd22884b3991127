"""What one clip more costs: `python -m tools.benchmarks.one_clip [--people 0] [--all-runs] [--repeats 3]`.

In a clone of the last commit with caches of its own: T(+1) is `dvc repro` after a clip of a known person came. It is
compared with a no-op, the extraction of that clip alone (the three stages as processes, no item cached, networks
converted) and the retraining (protocol to the page of errors by `dvc repro --force --single-item`, less what that takes
where nothing is to do).
"""

import argparse
import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tools.benchmarks.one_clip.clone import add_clip, alone_with, clone_project, read_params
from tools.benchmarks.one_clip.timed import Timed, dvc, run

EXTRACTION = ("detect_faces", "embed_faces", "embed_voices")
RETRAINING = ("protocol", "train", "evaluate", "report", "trials")  # what runs behind extraction, without fusions
ALLOWED = 3.0  # s, overhead of the one clip


@dataclass(frozen=True)
class Seconds:
    """Of some commands."""

    wall: float
    processor: float

    def __sub__(self, other: "Seconds") -> "Seconds":
        return Seconds(self.wall - other.wall, self.processor - other.processor)

    def __str__(self) -> str:
        return f"{self.wall:.1f} s ({self.processor:.1f} s of processors)"


def of(*commands: Timed) -> Seconds:
    """Their sums."""
    return Seconds(sum(one.seconds for one in commands), sum(one.processor for one in commands))


@dataclass(frozen=True)
class Cost:
    """One clip that came."""

    more: Timed  # the run after it
    extraction: dict[str, Timed]  # of the clip alone, by stage
    retraining: Seconds

    def overhead(self, no_op: Seconds) -> Seconds:
        """What the run took beyond its parts."""
        return of(self.more) - no_op - of(*self.extraction.values()) - self.retraining


def main() -> None:
    """Measure and write; exit code 1 where the overhead is more than allowed or something was extracted for nothing."""
    parser = argparse.ArgumentParser(prog="python -m tools.benchmarks.one_clip", description=__doc__)
    parser.add_argument("--people", type=int, default=0, help="people of the shipped corpus; 0: all")
    parser.add_argument("--all-runs", action="store_true", help="every run of experiments:, not the first alone")
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        clone = clone_project(Path(scratch) / "sbnet", arguments.people, arguments.all_runs)
        full = dvc(clone, "repro")
        items = sum(1 for _ in (clone / "data" / "demo").glob("id*/*.mp4"))
        runs = len(read_params(clone)["experiments"])
        sys.stdout.write(f"{items} clips, {runs} run(s); from nothing: {full.seconds:.1f} s\n")
        no_op = sorted((_no_op(clone) for _ in range(3)), key=lambda one: one.wall)[1]
        costs = [_one_more(clone, Path(scratch) / f"alone{i}", i, items) for i in range(arguments.repeats)]
    overhead = statistics.median(cost.overhead(no_op).wall for cost in costs)
    sys.stdout.writelines(described(cost, no_op) for cost in costs)
    sys.stdout.write(f"overhead, median of {len(costs)}: {overhead:.1f} s; {ALLOWED:g} s are allowed\n")
    sys.exit(overhead > ALLOWED)


def _no_op(clone: Path) -> Seconds:
    nothing = dvc(clone, "repro")
    _check(nothing.outcome.ran == [], "a no-op ran stages", nothing)
    return of(nothing)


def _one_more(clone: Path, alone: Path, number: int, items: int) -> Cost:
    clip = add_clip(clone, number)
    more = dvc(clone, "repro")
    once = dict.fromkeys(EXTRACTION, f"1 extracted, {items} cached, 0 skipped")
    _check(more.outcome.counts == once, "one clip was not one extraction of each kind", more)
    extraction = _extraction(alone_with(clip, clone, alone), clone)
    retraining = _retraining(clone)
    clip.unlink()
    fewer = dvc(clone, "repro", "--no-run-cache", *EXTRACTION)
    none = dict.fromkeys(EXTRACTION, f"0 extracted, {items} cached, 0 skipped")
    _check(fewer.outcome.counts == none, "a clip that went cost an extraction", fewer)
    back = dvc(clone, "repro")
    _check(back.outcome.ran == [], "stages ran although the media are as they were before the clip", back)
    return Cost(more, extraction, retraining)


def _extraction(alone: Path, clone: Path) -> dict[str, Timed]:
    code = {"PYTHONPATH": str(clone)}
    run(["-m", "stages.manifest"], alone, code)  # not counted: no kind of extraction
    timed = {stage: run(["-m", f"stages.{stage}"], alone, code) for stage in EXTRACTION}
    for stage, one in timed.items():
        _check(one.outcome.counts == {stage: "1 extracted, 0 cached, 0 skipped"}, "the clip was not extracted", one)
    return timed


def _retraining(clone: Path) -> Seconds:
    nothing = dvc(clone, "repro", "--single-item", *RETRAINING)
    forced = dvc(clone, "repro", "--force", "--single-item", *RETRAINING)
    expected = len(RETRAINING) - 2 + 2 * len(read_params(clone)["experiments"])  # train and evaluate: once a run
    _check(nothing.outcome.ran == [] and len(forced.outcome.ran) == expected, "other stages than these ran", forced)
    return of(forced) - of(nothing)


def _check(holds: bool, what: str, timed: Timed) -> None:
    if not holds:
        raise RuntimeError(f"{what}:\n{timed.log}")


def described(cost: Cost, no_op: Seconds) -> str:
    """One repeat as text: the sum, and where the run spent its time."""
    alone = {name: f" ({timed.seconds:.1f} alone)" for name, timed in cost.extraction.items()}
    stages = ", ".join(f"{name} {seconds:.1f}{alone.get(name, '')}" for name, seconds in cost.more.stages.items())
    before = cost.more.seconds - sum(cost.more.stages.values())
    return (
        f"T(+1) {of(cost.more)}\n- no-op {no_op}\n- extraction {of(*cost.extraction.values())}\n"
        f"- retraining {cost.retraining}\n= {cost.overhead(no_op)}\n"
        f"T(+1) was, s: before the first stage {before:.1f}, {stages}\n"
    )


if __name__ == "__main__":
    main()
