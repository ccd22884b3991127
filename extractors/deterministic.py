"""Run a network the same way everywhere."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def exact_inference() -> Iterator[None]:
    """No gradients, and on a GPU full float32 convolutions and matrix products, the former by a fixed algorithm.

    On a CPU at least two threads: with one, oneDNN takes other kernels, and the last bits of a vector would depend on
    the number of cores (from two to sixteen threads they were seen not to: tests/faults/test_same_bytes.py).
    cuDNN would otherwise round the inputs of convolutions to TensorFloat-32, ten bits of mantissa, and may pick another
    algorithm from run to run; cuBLAS would, too, where TORCH_ALLOW_TF32_CUBLAS_OVERRIDE or the user says so. Only for
    the time of the call: the user's own settings stay.
    """
    cudnn, threads, precision = torch.backends.cudnn, torch.get_num_threads(), torch.get_float32_matmul_precision()
    torch.set_num_threads(max(2, threads))
    torch.set_float32_matmul_precision("highest")
    try:
        with torch.inference_mode(), cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
            yield
    finally:
        torch.set_num_threads(threads)
        torch.set_float32_matmul_precision(precision)
