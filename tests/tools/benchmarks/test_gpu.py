"""The benchmark of a GPU, as far as a CPU can run it: small sections, and what becomes of one that fails."""

import json
import sys
import time
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import torch
from torch import nn

from extractors.faces.facenet_weights import facenet_weights, read_facenet
from pipeline.media import decode_audio, sample_frames
from pipeline.training.trainer import Trainer
from tools.benchmarks.gpu import __main__ as command
from tools.benchmarks.gpu import commands, training
from tools.benchmarks.gpu.bench import Bench, Row, SkippedError, operations
from tools.benchmarks.gpu.networks import random_facenet
from tools.benchmarks.gpu.pictures import crops, waveforms, write_film


def bench(folder: Path, seconds: float = 60.0) -> Bench:
    return Bench(torch.device("cpu"), folder, time.monotonic() + seconds, random_weights=True)


@pytest.mark.parametrize(("batch", "inputs", "outputs"), [(3, 5, 7), (128, 512, 901)])
def test_a_product_and_its_addition_are_two_operations(batch: int, inputs: int, outputs: int) -> None:
    layer, values = nn.Linear(inputs, outputs, bias=False), torch.zeros(batch, inputs)
    assert operations(lambda: layer(values)) == 2 * batch * inputs * outputs


def test_a_call_is_timed_about_as_long_as_asked_and_a_long_one_once(tmp_path: Path) -> None:
    here, now, calls = bench(tmp_path), [0.0], []

    def lasting(seconds: float) -> None:
        now[0] += seconds
        calls.append(seconds)

    with mock.patch("time.perf_counter", lambda: now[0]):
        assert here.seconds(lambda: lasting(0.002), 0.06) == pytest.approx(0.002)
        assert 28 <= len(calls) <= 34
        calls.clear()
        assert here.seconds(lambda: lasting(0.02), 0.01) == pytest.approx(0.02)
    assert len(calls) == 2  # to warm up, and to measure


@pytest.mark.parametrize(
    ("row", "figure"),
    [
        (Row("", None, "s"), "-"),
        (Row("", 12345.6, "faces/s"), "12346 faces/s"),
        (Row("", 0.123456, "TFLOP/s"), "0.123 TFLOP/s"),
        (Row("", 0.9999987, ""), "0.9999987"),
        (Row("", 64.0, ""), "64"),
    ],
)
def test_a_cosine_has_seven_digits_and_a_rate_three(row: Row, figure: str) -> None:
    assert row.figure == figure


def test_networks_that_are_stacked_take_the_steps_that_each_would_take_alone(tmp_path: Path) -> None:
    here = bench(tmp_path)
    data = training._data(here, training._settings("single_fop"))
    found = training._checked(here, data)
    assert found.value is not None and found.value < 1e-4 and not found.remark
    one, other = (Trainer(data.settings, data, seed) for seed in (0, 1))
    first = training.Stacked([one, other]).parameters["first.linear.weight"]
    assert not torch.equal(first[0], first[1])


def test_a_section_that_fails_is_a_line_and_so_is_one_without_time(tmp_path: Path) -> None:
    def breaks(_: Bench) -> list[Row]:
        raise RuntimeError("out of\n memory")

    def skips(_: Bench) -> list[Row]:
        raise SkippedError("no films")

    with mock.patch.dict(command.SECTIONS, {"films": (breaks, 1.0), "repro": (skips, 1.0)}):
        rows, failed = command.guarded("films", bench(tmp_path))
        assert failed and rows[0].remark == "failed: RuntimeError: out of memory"
        rows, failed = command.guarded("repro", bench(tmp_path))
        assert not failed and rows[0].remark == "left out: no films"
        rows, failed = command.guarded("films", bench(tmp_path, seconds=0.0))
        assert not failed and "left of --minutes" in rows[0].remark


@pytest.mark.parametrize(("remark", "status"), [("", 0), ("BELOW 0.9999", 1)])
def test_the_exit_status_says_whether_a_check_held(tmp_path: Path, remark: str, status: int) -> None:
    arguments = ["gpu", "--device", "cpu", "--minutes", "1", "--sections", "agreement", "--out", str(tmp_path)]
    threads = torch.get_num_threads()
    with (
        mock.patch.dict(command.SECTIONS, {"agreement": (lambda _: [Row("cosine", 0.5, "", remark)], 0.0)}),
        mock.patch.object(sys, "argv", arguments),
    ):
        assert command.main() == status
    torch.set_num_threads(threads)
    assert json.loads((tmp_path / "results.json").read_text())["agreement"][0]["value"] == 0.5
    assert f"| cosine | 0.5 | {remark} |" in (tmp_path / "table.md").read_text()


def test_the_random_facenet_is_a_file_that_the_extractor_takes_and_always_the_same(tmp_path: Path) -> None:
    one, other = random_facenet(tmp_path / "a"), random_facenet(tmp_path / "b")
    weights, path = facenet_weights(str(one))
    assert weights.digest == facenet_weights(str(other))[0].digest
    assert "last_linear.weight" in read_facenet(path)


def test_films_hold_pictures_and_sound_that_decode(tmp_path: Path) -> None:
    write_film(tmp_path / "a" / "clip.mp4", crops(1)[0], 224, 224, 1.0, seed=0)
    frames = sample_frames(tmp_path / "a" / "clip.mp4", 5.0, 50)
    assert len(frames) == 5 and frames[0].image.shape == (224, 224, 3)
    sound = decode_audio(tmp_path / "a" / "clip.mp4", 16_000)
    assert np.abs(sound).max() > 0.05 and len(sound) == pytest.approx(16_000, abs=2048)
    assert len(waveforms(2, 0.5)[1]) == 8000


def test_a_command_that_does_not_end_in_time_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    begin = time.monotonic()
    code, words = commands._run(["sh", "-c", "echo begun; sleep 60 & wait"], tmp_path, {"PATH": "/usr/bin:/bin"}, 1.0)
    assert code is None and words == "begun\n" and time.monotonic() - begin < 20.0
