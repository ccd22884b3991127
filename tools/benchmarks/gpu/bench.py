"""What the sections share: the device, the time that is left, rows of the table, and how a call is timed."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

ROOT = Path(__file__).resolve().parents[3]
DEMO = ROOT / "data" / "demo"
_BLOCKS = 3  # of calls; their median counts


class SkippedError(Exception):
    """A section that cannot be run here, with the reason."""


@dataclass(frozen=True)
class Row:
    """A line of the table."""

    what: str
    value: float | None  # None: there is nothing to measure, and the remark says why
    unit: str
    remark: str = ""

    @property
    def figure(self) -> str:
        """As the table shows it."""
        if self.value is None:
            return "-"
        if not self.unit:  # a share, a cosine, a difference
            return f"{self.value:.7f}".rstrip("0").rstrip(".")
        return f"{self.value:.0f} {self.unit}" if self.value >= 1000.0 else f"{self.value:.3g} {self.unit}"


@dataclass
class Bench:
    """A device, the sizes for it, and the clock of the whole command."""

    device: torch.device
    out: Path  # folder of the results and of what is made for them
    deadline: float  # of time.monotonic()
    random_weights: bool  # FaceNet with seeded random ones
    measured: dict[str, float] = field(default_factory=dict)  # what a later section needs of an earlier one

    @property
    def cuda(self) -> bool:
        """Whether the device is a GPU: sizes are large there."""
        return self.device.type == "cuda"

    @property
    def left(self) -> float:
        """Seconds until the deadline."""
        return self.deadline - time.monotonic()

    def need(self, seconds: float) -> None:
        """Raise SkippedError if less time is left."""
        if self.left < seconds:
            raise SkippedError(f"{max(0.0, self.left):.0f} s are left of --minutes, and it takes {seconds:.0f}")

    def synchronise(self) -> None:
        """Wait for the GPU."""
        if self.cuda:
            torch.cuda.synchronize(self.device)

    def seconds(self, call: Callable[[], Any], lasting: float = 1.0) -> float:
        """Seconds of a call, warmed up; all blocks of calls together last about `lasting` seconds, or one call."""
        for _ in range(2 if self.cuda else 1):
            call()
        alone = self._block(call, 1)
        calls = int(lasting / _BLOCKS / max(1e-7, alone))
        return median(self._block(call, calls) for _ in range(_BLOCKS)) if calls else alone

    def _block(self, call: Callable[[], Any], calls: int) -> float:
        self.synchronise()
        begin = time.perf_counter()
        for _ in range(calls):
            call()
        self.synchronise()
        return (time.perf_counter() - begin) / calls


def operations(call: Callable[[], Any]) -> int:
    """Floating point operations of a call's matrix products and convolutions; a product and its addition are two."""
    with FlopCounterMode(display=False) as counter:
        call()
    return int(counter.get_total_flops())


def rates(bench: Bench) -> list[Row]:
    """What the card is, and what it multiplies: the rate that shares below are of."""
    side = 8192 if bench.cuda else 768
    name = torch.cuda.get_device_name(bench.device) if bench.cuda else f"CPU, {torch.get_num_threads()} threads"
    remark = f"{torch.cuda.get_device_properties(bench.device).total_memory / 2**30:.0f} GiB" if bench.cuda else ""
    rows = [Row(f"{name}, torch {torch.__version__}", None, "", remark)]
    for kind, precision in (("bfloat16", torch.bfloat16), ("float32", torch.float32)):
        left, right = (torch.randn(side, side, device=bench.device).to(precision) for _ in range(2))
        rate = 2 * side**3 / bench.seconds(lambda left=left, right=right: left @ right) / 1e12
        bench.measured[kind] = rate
        rows.append(Row(f"matrix product {side} x {side}, {kind}", rate, "TFLOP/s"))
    return rows
