"""The generator as a user runs it: whole clips, resumed after a kill, no orphans.

Needs all of tools/corpus/requirements.txt.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("onnxruntime", reason="speech needs tools/corpus/requirements.txt")

from pipeline.media.audio import decode_audio
from pipeline.media.video import sample_frames
from tools.corpus.ingredients import CACHE, MODEL
from tools.corpus.waveforms import RATE

ROOT = Path(__file__).resolve().parents[3]
PATIENCE = 240  # s, on a busy machine


def _generate(out: Path) -> subprocess.Popen:
    if not (CACHE / MODEL).exists():
        pytest.skip("the ingredients are not here: run `python -m tools.corpus.fetch`")
    command = [sys.executable, "-m", "tools.corpus.generate", "--out", str(out), "--people", "2", "--clips", "2"]
    return subprocess.Popen([*command, "--side", "96", "--workers", "1"], cwd=ROOT, stderr=subprocess.DEVNULL)


def _children(pid: int) -> list[int]:
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    return [int(child) for child in found.stdout.split()]


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def _wait(until: float, done: Callable[[], bool]) -> None:
    while not done():
        assert time.monotonic() < until, "gave up waiting"
        time.sleep(0.2)


@pytest.mark.slow
def test_a_killed_run_leaves_no_half_clip_no_orphan_and_goes_on_where_it_was(tmp_path: Path) -> None:
    first = tmp_path / "id0001" / "0.mp4"
    run = _generate(tmp_path)
    _wait(time.monotonic() + PATIENCE, first.exists)
    workers = _children(run.pid)
    run.send_signal(signal.SIGKILL)
    run.wait()
    _wait(time.monotonic() + 20, lambda: not any(_runs(worker) for worker in workers))
    made = first.stat().st_mtime_ns
    assert _generate(tmp_path).wait(PATIENCE) == 0
    assert first.stat().st_mtime_ns == made
    assert [path.name for path in sorted(tmp_path.glob("*/.*"))] == []
    for path in sorted(tmp_path.glob("*/*.mp4")):
        waveform, frames = decode_audio(path, RATE), sample_frames(path, 12.0, 1000)
        assert 2.5 < len(waveform) / RATE < 4.6
        assert len(frames) == pytest.approx(12 * len(waveform) / RATE, abs=3)
        assert frames[0].image.shape == (96, 96, 3)
    assert len(list(tmp_path.glob("*/*.mp4"))) == 4
