"""Networks as functions of numpy arrays: OpenVINO on a CPU, torch on a GPU and where OpenVINO is not installed.

An inference is single-threaded and takes one item, and as many run side by side as there are cores: so a result's bytes
depend neither on the number of cores nor on what else is embedded. SBNET_CPU_BACKEND (openvino | torch) names the
backend of CPUs. It is in the provenance of a store, and not in the fingerprint, as the device is not: one machine has
one, whose bytes repeat, and those of two agree to rounding.

Why OpenVINO: in float32 it and ONNX Runtime take half of torch's CPU time; of the two it alone has bfloat16, a quarter
(tools/benchmarks/README.md, backends).
"""

import importlib
import importlib.metadata
import importlib.util
import logging
import os
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from functools import cache
from typing import Any, Literal, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from extractors.deterministic import exact_inference
from extractors.kept_networks import convert, converted
from pipeline.errors import ConfigError
from pipeline.extraction.limits import cores

VARIABLE = "SBNET_CPU_BACKEND"
Precision = Literal["float32", "bfloat16"]  # of the arithmetic; outputs are float32

_THREAD = "inference"  # what our threads' names begin with
_KEPT_KERNELS = 128  # code for a shape; the default is 5000, and every new length of an utterance adds some 45

Floats = NDArray[np.float32]
ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")

logger = logging.getLogger(__name__)


class Network(ABC):
    """A network that takes one array and gives float32 ones, in the order of the module's outputs."""

    backend: str  # what runs it, for the provenance
    lanes: int  # how many calls may run side by side: see side_by_side
    alone: bool  # items go through one by one, so that none depends on another; otherwise batches are faster

    @abstractmethod
    def __call__(self, inputs: NDArray[Any]) -> tuple[Floats, ...]:
        """Outputs for one input, of the example's type; on a CPU, threads may call it at the same time."""


def network_of(
    module: nn.Module, example: Tensor, device: torch.device, precision: Precision, free: Sequence[int] = ()
) -> Network:
    """The module, for inputs of the example's type and shape, but for axes `free`, of any length.

    It is in eval mode, and can be trained no more afterwards. Raises ConfigError for a SBNET_CPU_BACKEND that does not
    exist or is not installed.
    """
    if device.type == "cpu" and cpu_backend() == "openvino":
        return _OpenVINO(lambda library: convert(library, module, example, free), precision)
    return _Torch(module, device, precision)


def kept_network(
    name: str,
    identity: str,
    build: Callable[[], nn.Module],
    example: Tensor,
    device: torch.device,
    precision: Precision,
    free: Sequence[int] = (),
) -> Network:
    """network_of(build(), ...), without building where the converted network is kept from an earlier start.

    `name` is of the file: a word of letters, digits and dashes. `identity` stands for all that decides what `build`
    gives, code and parameters: Extractor.identity makes one. Raises ConfigError as network_of does.
    """
    if device.type == "cpu" and cpu_backend() == "openvino":
        return _OpenVINO(lambda library: converted(library, build, example, free, name, identity), precision)
    return _Torch(build(), device, precision)


def cpu_backend() -> Literal["openvino", "torch"]:
    """What SBNET_CPU_BACKEND names; by default openvino where it is installed, otherwise torch, with a warning."""
    wanted = os.environ.get(VARIABLE) or "auto"
    if wanted not in ("auto", "openvino", "torch"):
        raise ConfigError(f"{VARIABLE}={wanted!r}: use openvino or torch")
    if wanted == "torch":
        return "torch"
    if importlib.util.find_spec("openvino") is not None:
        return "openvino"
    if wanted == "openvino":
        raise ConfigError(f"{VARIABLE}=openvino, but it is not installed: pip install -r requirements.txt")
    logger.warning("openvino is not installed: networks run in torch, at a half to a quarter of the speed")
    return "torch"


def side_by_side_at_most() -> int:
    """How many inferences run at a time: one a core, and no more than OMP_NUM_THREADS, a share of a machine."""
    allowed = os.environ.get("OMP_NUM_THREADS", "")
    return max(1, min(cores(), int(allowed))) if allowed.isdecimal() else cores()


def side_by_side(function: Callable[[ItemT], ResultT], items: Iterable[ItemT], lanes: int) -> list[ResultT]:
    """Results of the items in their order, `lanes` of which are computed at a time, by threads.

    Where the function calls this again, its own items are computed one after another, by the thread that asks: threads
    that wait for each other would wait for ever. An exception of one item is raised once those before it are done.
    """
    if lanes == 1 or threading.current_thread().name.startswith(_THREAD):
        return [function(item) for item in items]
    return list(_threads(lanes).map(function, items))


@cache
def _threads(lanes: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(lanes, thread_name_prefix=_THREAD)


class _Torch(Network):
    """torch: the reference. One call at a time, with all cores within it."""

    lanes = 1

    def __init__(self, module: nn.Module, device: torch.device, precision: Precision) -> None:
        # channels last in memory: or the CPU's convolutions would reorder every map
        self._module: nn.Module = module.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._device = device
        self._lowered = precision == "bfloat16"
        self.alone = device.type == "cpu"
        self.backend = f"torch {torch.__version__}, {device.type}"

    def __call__(self, inputs: NDArray[Any]) -> tuple[Floats, ...]:
        lowered = torch.autocast(self._device.type, torch.bfloat16) if self._lowered else nullcontext()
        with exact_inference(), lowered:
            outputs = self._module(self._moved(torch.from_numpy(inputs)))
        return tuple(part.float().cpu().numpy() for part in _parts(outputs))

    def _moved(self, inputs: Tensor) -> Tensor:
        """To the device; to a GPU by way of pinned memory, from which it reads several times as fast."""
        if self._device.type != "cuda":
            return inputs.to(self._device)
        return inputs.pin_memory().to(self._device, non_blocking=True)


class _OpenVINO(Network):
    """OpenVINO on a CPU: a request of its own for every thread that calls, each on one core."""

    alone = True

    def __init__(self, model: Callable[[Any], Any], precision: Precision) -> None:
        library = _openvino()
        core = library.Core()
        lowered = precision == "bfloat16" and _has_bfloat16(core)
        if precision == "bfloat16" and not lowered:
            logger.warning("this CPU has no bfloat16 arithmetic: precision bfloat16 runs in float32, slower and closer")
        self.lanes = side_by_side_at_most()
        options = {
            "NUM_STREAMS": self.lanes,
            "INFERENCE_NUM_THREADS": self.lanes,  # one a stream
            "ENABLE_CPU_PINNING": False,  # or two processes would share the same cores
            "INFERENCE_PRECISION_HINT": "bf16" if lowered else "f32",  # by default bfloat16, where the CPU has it
            "CPU_RUNTIME_CACHE_CAPACITY": _KEPT_KERNELS,
            "EXECUTION_MODE_HINT": "PERFORMANCE" if lowered else "ACCURACY",
        }
        self._compiled = core.compile_model(model(library), "CPU", options)
        self._own = threading.local()
        version = importlib.metadata.version("openvino")
        self.backend = f"openvino {version}, {'bfloat16' if lowered else 'float32'}"

    def __call__(self, inputs: NDArray[Any]) -> tuple[Floats, ...]:
        if not hasattr(self._own, "request"):
            self._own.request = self._compiled.create_infer_request()
        return tuple(self._own.request.infer(np.ascontiguousarray(inputs), share_inputs=True).values())


def _has_bfloat16(core: Any) -> bool:
    return "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def _parts(outputs: Tensor | Sequence[Tensor]) -> Sequence[Tensor]:
    return [outputs] if isinstance(outputs, Tensor) else outputs


def _openvino() -> Any:
    """The package, without openvino_telemetry, which would report its import, and each conversion, over the network.

    OpenVINO has a stand-in for the case that that package is not installed.
    """
    if "openvino" not in sys.modules:
        sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type] # Python's way to forbid an import
    library = importlib.import_module("openvino")
    # Its table of types is made at first use, which lets go of Python's lock half-way. Where two threads' first
    # inferences met there, one held the table and wanted that lock, the other the reverse: a stage once stood still.
    library.Type.f32.to_dtype()
    return library
