"""One thread for small matrices on the CPU."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def one_thread() -> Iterator[None]:
    """Run torch on one CPU thread, then on as many as before.

    A step here multiplies matrices of a few hundred rows: a second thread gains a third on an idle machine, but waits
    in a spin for its core on a busy one, where a step was seen to take ten times as long. One thread also makes the
    bytes of a result independent of OMP_NUM_THREADS and of the number of cores.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
