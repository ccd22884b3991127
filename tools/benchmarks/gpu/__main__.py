"""A GPU beside a CPU, and how fast it is: `python -m tools.benchmarks.gpu --minutes 8 [--device cpu]`.

Prints a Markdown table as it goes, and writes it to OUT/table.md and OUT/results.json. A section that fails is a line
of the table, and so is one that is left out because the time is over; neither ends the command. `--random-weights`
takes a seeded random FaceNet, for a machine that cannot fetch the weights: times are the same, and so is what the
comparison with the CPU shows. With `--device cpu` the sizes are small: it shows that the command runs.
"""

import argparse
import json
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import torch

from pipeline.errors import PipelineError
from tools.benchmarks.gpu import commands, networks, training
from tools.benchmarks.gpu.bench import Bench, Row, SkippedError, rates

Section = Callable[[Bench], list[Row]]
SECTIONS: dict[str, tuple[Section, float]] = {  # and the seconds that it needs at least
    "rates": (rates, 1.0),
    "agreement": (networks.agreement, 5.0),
    "decisions": (networks.decisions, 5.0),
    "throughput": (networks.throughput, 10.0),
    "steps": (training.steps, 10.0),
    "figures": (training.figures, 10.0),
    "films": (commands.films, 20.0),
    "repro": (commands.repro, 60.0),
}
_MARKS = ("BELOW", "ABOVE", "DIFFERS", "MORE than")  # of a check that did not hold


def main() -> int:
    """Run the sections; the exit status is 1 if a check did not hold or a section failed."""
    arguments = _arguments()
    device = _device(arguments.device)
    if device.type == "cpu":
        torch.set_num_threads(1)  # two wait for each other in a spin where others work, too
    arguments.out.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + 60.0 * arguments.minutes
    bench = Bench(device, arguments.out.resolve(), deadline, arguments.random_weights)
    failed, lines, results = False, [], {}
    _say(lines, "| | | |\n|---|---|---|")
    for name in arguments.sections:
        rows, trouble = guarded(name, bench)
        failed |= trouble or any(row.remark.startswith(_MARKS) for row in rows)
        results[name] = [asdict(row) for row in rows]
        for row in rows:
            _say(lines, f"| {row.what} | {row.figure} | {row.remark} |")
        (arguments.out / "results.json").write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
        (arguments.out / "table.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return int(failed)


def guarded(name: str, bench: Bench) -> tuple[list[Row], bool]:
    """The rows of a section, or the one that says why there are none; and whether it failed."""
    section, least = SECTIONS[name]
    try:
        bench.need(least)
        return section(bench), False
    except SkippedError as reason:
        return [Row(name, None, "", f"left out: {reason}")], False
    except (PipelineError, ImportError, RuntimeError, OSError, ValueError, AssertionError) as error:
        sys.stderr.write(traceback.format_exc())
        return [Row(name, None, "", f"failed: {type(error).__name__}: {' '.join(str(error).split())[:300]}")], True


def _device(wanted: str) -> torch.device:
    if wanted == "cuda" and not torch.cuda.is_available():
        raise SystemExit(f"torch {torch.__version__} finds no GPU: give --device cpu, or a machine with one")
    return torch.device(wanted)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=8.0, help="after which nothing more is begun")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--random-weights", action="store_true", help="a seeded random FaceNet")
    parser.add_argument("--sections", nargs="+", choices=list(SECTIONS), default=list(SECTIONS))
    parser.add_argument("--out", type=Path, default=Path("gpu_benchmark"), help="folder of the results")
    return parser.parse_args()


def _say(lines: list[str], line: str) -> None:
    lines.append(line)
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
