"""Run a network the same way everywhere."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def exact_inference() -> Iterator[None]:
    """No gradients, and on a GPU full float32 convolutions by a fixed algorithm.

    cuDNN would otherwise round the inputs of convolutions to TensorFloat-32, ten bits of mantissa, and may pick another
    algorithm from run to run. Only for the time of the call: the user's own settings stay.
    """
    cudnn = torch.backends.cudnn
    with torch.inference_mode(), cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
        yield
