"""Whole commands: the extracting stages on films that are made on the spot, and `make repro`."""

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import yaml

from tools.benchmarks.gpu.bench import DEMO, ROOT, Bench, Row, SkippedError
from tools.benchmarks.gpu.networks import random_facenet
from tools.benchmarks.gpu.pictures import demo_frames, write_film

_STAGES = ("detect_faces", "embed_faces", "embed_voices")
_SIZES = {"1080p": (1920, 1080), "224p": (224, 224)}
_REPRO_SECONDS = 240.0  # s left, below which it is not begun
_NOT_COPIED = (".git", ".venv*", "artifacts", ".sbnet", "cache", "__pycache__", ".*_cache", "shared", "tmp")


def films(bench: Bench) -> list[Row]:
    """Seconds of film a second through each stage, decoded beside the model; and by decoding alone."""
    pictures = demo_frames(8 if bench.cuda else 2)
    bench.need(60.0 if bench.cuda else 20.0)
    seconds = 10.0 if bench.cuda else 2.0
    rows = []
    for name, (width, height) in _SIZES.items():
        project = bench.out / f"films_{name}"
        shutil.rmtree(project, ignore_errors=True)
        for number, picture in enumerate(pictures):
            path = project / "media" / f"person{number:02d}" / "clip.mp4"
            write_film(path, picture, width, height, seconds, number)
        _write_params(project, bench)
        speech = seconds * len(pictures)
        alone = _decoded(project)
        rows.append(Row(f"{name}, decoding alone, one core", speech / alone, "s of film/s"))
        for stage in ("manifest", *_STAGES):
            begin = time.perf_counter()
            try:
                words = _stage(project, stage, bench)
            except SkippedError as reason:
                return [*rows, Row(f"{name}, {stage}", None, "", f"left out: {reason}")]
            taken = time.perf_counter() - begin
            if stage in _STAGES:
                rows.append(Row(f"{name}, {stage}, its start included", speech / taken, "s of film/s", words))
    return rows


def _write_params(project: Path, bench: Bench) -> None:
    raw = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    none = {"table": ROOT / "data" / "no_items.csv", "identities": ROOT / "data" / "no_identities.csv"}
    raw["manifest"] |= {"media": "media", "columns": {}, **{name: str(path) for name, path in none.items()}}
    raw["detect_faces"] |= {"frame_rate": 5.0, "max_frames": 50}
    if bench.random_weights:
        raw["embed_faces"]["weights"] = str(random_facenet(bench.out).resolve())
    (project / "params.yaml").write_text(yaml.safe_dump(raw, sort_keys=False), encoding="utf-8")


def _decoded(project: Path) -> float:
    """Seconds of this process to sample every film as detect_faces does."""
    from pipeline.media import sample_frames

    begin = time.process_time()
    for path in sorted(project.glob("media/*/*.mp4")):
        sample_frames(path, 5.0, 50)
    return time.process_time() - begin


def _stage(project: Path, stage: str, bench: Bench) -> str:
    """Run a stage; its own line of what took the time."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "SBNET_HOME": str(_home(project))}
    environment["SBNET_DEVICE"] = bench.device.type
    code, words = _run([sys.executable, "-m", f"stages.{stage}"], project, environment, bench.left)
    if code is None:
        raise SkippedError(f"{stage} had not ended when the time of --minutes was over")
    if code:
        raise RuntimeError(f"stages.{stage} failed: {words[-600:]}")
    return next((line.rpartition(f"{stage}: ")[2] for line in words.splitlines() if "waiting for decoders" in line), "")


def _home(project: Path) -> Path:
    """A folder for caches in a project, with the weights that this checkout has fetched."""
    fetched = Path(os.environ.get("SBNET_HOME") or ROOT / ".sbnet") / "weights"
    home = project / ".sbnet"
    home.mkdir(exist_ok=True)
    if fetched.is_dir() and not (home / "weights").exists():
        (home / "weights").symlink_to(fetched.resolve())
    return home


def repro(bench: Bench) -> list[Row]:
    """`make repro` on the shipped corpus in a copy of the checkout, with caches of its own, in this environment."""
    if importlib.util.find_spec("dvc") is None or not DEMO.is_dir():
        raise SkippedError("it needs dvc and the shipped corpus")
    bench.need(_REPRO_SECONDS)
    copy = bench.out / "repro"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(*_NOT_COPIED, bench.out.name), symlinks=True)
    params = yaml.safe_load((copy / "params.yaml").read_text(encoding="utf-8"))
    if bench.random_weights:
        params["embed_faces"]["weights"] = str(random_facenet(bench.out).resolve())
        (copy / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")
    environment = {**os.environ, "SBNET_HOME": str(_home(copy)), "SBNET_DEVICE": bench.device.type}
    subprocess.run([sys.executable, "-m", "dvc", "config", "--local", "core.no_scm", "true"], cwd=copy, check=True)
    begin = time.perf_counter()
    code, words = _run([sys.executable, "-m", "tools.parallel_repro"], copy, environment, bench.left)
    taken = time.perf_counter() - begin
    shutil.rmtree(copy, ignore_errors=True)
    if code is None:
        return [Row("make repro", None, "", f"had not ended after {taken:.0f} s, when the time was over")]
    if code:
        raise RuntimeError(f"tools.parallel_repro failed: {words[-600:]}")
    return [Row("make repro, the environment made before", taken, "s", f"{os.cpu_count()} cores beside the GPU")]


def _run(command: list[str], folder: Path, environment: dict[str, str], limit: float) -> tuple[int | None, str]:
    """Exit code and words of a command; the code is None if it had not ended after `limit` seconds, and all of it is
    ended.
    """
    log = folder / "words.log"
    with log.open("w", encoding="utf-8") as words:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=words, stderr=words, start_new_session=True
        )
        try:
            code: int | None = process.wait(max(1.0, limit))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            code = None
    return code, log.read_text(encoding="utf-8", errors="replace")
