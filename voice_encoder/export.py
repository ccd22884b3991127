"""Store a run's averaged weights as the half-precision file that ships.

    python -m voice_encoder.export <run>/checkpoint.safetensors <weights.safetensors>

Prints the digest that extractors/voice_weights.py checks.
"""

import logging
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from extractors.aggregator_network import load_state
from pipeline.files import atomic_path, sha256_of
from voice_encoder.checkpoint import below

log = logging.getLogger(__name__)


def main(checkpoint: Path, target: Path) -> None:
    """Write the averaged student without batch norm's counters; running variances stay float32, to lose no range."""
    state = {
        name: value.float() if name.endswith("running_var") else value.half()
        for name, value in below(load_file(checkpoint), "average").items()
        if not name.endswith("num_batches_tracked")
    }
    if not all(torch.isfinite(value).all() for value in state.values()):
        raise ValueError(f"{checkpoint}: a weight is beyond the range of float16")
    load_state({name: value.float() for name, value in state.items()}, str(checkpoint))
    with atomic_path(target) as temporary:
        save_file({name: value.contiguous() for name, value in state.items()}, temporary)
    log.info("%s: %d bytes, sha256 %s", target, target.stat().st_size, sha256_of(target))


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    main(*map(Path, sys.argv[1:]))
