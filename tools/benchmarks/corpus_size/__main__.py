"""Size: `python -m tools.benchmarks.corpus_size [--files 20000 200000] [--folder FOLDER]`.

Makes that many face frames and an eighth as many utterances, runs each stage once in a process of its own, with
extractors that have no network, and writes seconds, resident memory and items a second; of two sizes also what each
stage would take at VoxCeleb1's, 1.2 million frames and 150,000 utterances, by the line through both. With --stores
there are no media but random vectors, so that the stages behind extraction run at that size itself.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

from tests.stages.project import ROOT
from tools.benchmarks.corpus_size.media import make_media
from tools.benchmarks.corpus_size.stores import make_stores

STAGES = ("manifest", "detect_faces", "embed_faces", "embed_voices", "protocol", "train", "evaluate", "report")
BEHIND = STAGES[4:]  # of extraction
RUN = "single_fop"
VOXCELEB = 1_200_000  # frames
_PER_PERSON = 1_000  # frames
_GB = 1e9

Figures = dict[str, float]


def main() -> None:
    """Run and write the table."""
    parser = argparse.ArgumentParser(prog="python -m tools.benchmarks.corpus_size", description=__doc__)
    parser.add_argument("--files", type=int, nargs="+", default=[20_000, 200_000], help="face frames, one or two sizes")
    parser.add_argument("--stages", nargs="+", default=list(STAGES), choices=STAGES)
    parser.add_argument("--folder", type=Path, help="where to work, kept afterwards; media that are there are used")
    parser.add_argument("--stores", action="store_true", help="random vectors in place of media and extraction")
    parser.add_argument("--workers", type=int, default=2, help="decode workers")
    arguments = parser.parse_args()
    stages = [stage for stage in arguments.stages if not arguments.stores or stage in BEHIND]
    if not stages:
        parser.error(f"--stores leaves extraction out: of --stages it runs {', '.join(BEHIND)}")
    os.environ["SBNET_WORKERS"] = str(arguments.workers)
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.folder or Path(scratch)
        found = [measured(folder, files, stages, arguments.stores) for files in sorted(arguments.files)]
    sys.stdout.write(table(sorted(arguments.files), found))


def measured(folder: Path, files: int, stages: list[str], stores: bool = False) -> dict[str, Figures]:
    """What each stage takes at one size; with `stores`, on random vectors in place of media."""
    project = folder / str(files)
    if stages == list(STAGES):
        shutil.rmtree(project / "artifacts", ignore_errors=True)
    if not stores:  # of the items of an earlier call nothing would be extracted, and the reading of a cache be timed
        shutil.rmtree(project / ".sbnet", ignore_errors=True)
    people = max(40, files // _PER_PERSON)
    if stores and not (project / "artifacts" / "voices").is_dir():
        make_stores(project / "artifacts", files, people)
    elif not stores and not (project / "media").is_dir():
        make_media(project / "media", files, people)
    _write_params(project)
    found = {}
    for stage in stages:
        if stage == "train":
            _run(project, "settings")
        found[stage] = _run(project, stage, *([RUN] if stage in ("train", "evaluate") else []))
        sys.stderr.write(f"{files} {stage} {found[stage]}\n")
    return found


def _run(project: Path, stage: str, *arguments: str) -> Figures:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "SBNET_HOME": str(project / ".sbnet")}
    answer = subprocess.run(
        [sys.executable, "-m", "tools.benchmarks.corpus_size.stage", stage, *arguments],
        cwd=project,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    figures: Figures = json.loads(answer.stdout.splitlines()[-1])
    return figures


def _write_params(project: Path) -> None:
    raw = yaml.safe_load((ROOT / "params.yaml").read_text())
    none = str(ROOT / "data/no_identities.csv")
    raw["manifest"].update(media="media", listed={}, identities=none, table=str(ROOT / "data/no_items.csv"), columns={})
    raw["detect_faces"]["detector"] = "none"
    raw["embed_faces"]["extractor"] = raw["embed_voices"]["extractor"] = "null"
    raw["train"]["epochs"] = 1
    raw["experiments"], raw["fusions"] = {RUN: raw["experiments"][RUN]}, {}
    (project / "params.yaml").write_text(yaml.safe_dump(raw, sort_keys=False))


def table(sizes: list[int], found: list[dict[str, Figures]]) -> str:
    """A line a stage."""
    heads = " | ".join(f"{size:,} frames: s, of processors, items/s, GB" for size in sizes)
    lines = [f"| stage | {heads} | at 1.2 million: s of processors, GB |", "|---" * (len(sizes) + 2) + "|"]
    for stage in found[0]:
        each = [figures[stage] for figures in found]
        cells = [_cell(stage, *one) for one in zip(sizes, each, strict=True)]
        last = [(_processors(one), one["memory"]) for one in each[-2:]]
        seconds, memory = (extrapolated(sizes[-2:], list(values)) for values in zip(*last, strict=True))
        cells.append(f"{seconds:,.0f}, {memory / _GB:.2f}" if len(sizes) > 1 else "")
        lines.append(f"| {stage} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _cell(stage: str, size: int, figures: Figures) -> str:
    items = size // 8 if stage == "embed_voices" else size
    seconds = figures["seconds"]
    return f"{seconds:.1f}, {_processors(figures):.1f}, {items / seconds:,.0f}, {figures['memory'] / _GB:.2f}"


def _processors(figures: Figures) -> float:
    """Seconds of all processors, which hardly depend on what else a machine does."""
    return figures["processor"] + figures["workers"]


def extrapolated(sizes: list[int], values: list[float]) -> float:
    """The value at VoxCeleb1's size on the line through two points; of one point, that."""
    if len(sizes) == 1:
        return values[0]
    slope = (values[1] - values[0]) / (sizes[1] - sizes[0])
    return values[1] + slope * (VOXCELEB - sizes[1])


if __name__ == "__main__":
    main()
