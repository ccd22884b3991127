"""Store a run's averaged weights as the half-precision file that ships.

    python -m tools.voice_encoder.export <run>/decayed.safetensors <weights.safetensors>

Prints the digest that extractors/voices/aggregator_weights.py checks.
"""

import logging
from pathlib import Path

import torch
from safetensors.torch import save_file

from extractors.voices.aggregator_weights import load_state
from pipeline.errors import WeightsError
from pipeline.files import atomic_path, sha256_of
from tools.voice_encoder.checkpoint import averaged
from tools.voice_encoder.command import options, run_command

log = logging.getLogger(__name__)


def export(checkpoint: Path, target: Path) -> None:
    """Write the averaged student without batch norm's counters; running variances stay float32, to lose no range.

    Raises CheckpointError for a file that is no checkpoint, WeightsError for weights that half precision cannot hold.
    """
    state = {
        name: value.float() if name.endswith("running_var") else value.half()
        for name, value in averaged(checkpoint).items()
        if not name.endswith("num_batches_tracked")
    }
    if not all(torch.isfinite(value).all() for value in state.values()):
        raise WeightsError(f"{checkpoint}: a weight is beyond the range of float16, as after a run that diverged")
    load_state({name: value.float() for name, value in state.items()}, str(checkpoint))
    with atomic_path(target) as temporary:
        save_file({name: value.contiguous() for name, value in state.items()}, temporary)
    log.info("%s: %d bytes, sha256 %s", target, target.stat().st_size, sha256_of(target))


def main() -> None:
    """Export what the command line names."""
    arguments = options(__doc__)
    arguments.add_argument("checkpoint", type=Path)
    arguments.add_argument("weights", type=Path, help="the file to write")
    given = arguments.parse_args()
    export(given.checkpoint, given.weights)


if __name__ == "__main__":
    run_command(main)
