"""How many threads a model computes with on a CPU."""

import logging
import os

import torch

SMALL = 20_000_000
"""Parameters below which one thread is faster than two: every operation is shorter than what handing it over costs."""


def threads_for(parameters: int, cores: int) -> int:
    """One thread for a model of fewer than SMALL parameters, else one for each core.

    How busy the machine is plays no part: gradients in float32 differ in their last bits with the number of threads,
    and the same seed on the same machine gives the same bytes. Threads that wait sleep instead (lib/core/run.py).
    """
    return 1 if parameters < SMALL else cores


def use_threads(parameters: int) -> None:
    """Compute with `threads_for` this model from here on; OMP_NUM_THREADS, where it is set, is left as it is."""
    if os.environ.get("OMP_NUM_THREADS"):
        return
    cores = torch.get_num_threads()
    threads = threads_for(parameters, cores)
    if threads != cores:
        torch.set_num_threads(threads)
        logging.getLogger(__name__).info(
            "threads: %d of %d, for a model of %s parameters (OMP_NUM_THREADS says another number)",
            threads,
            cores,
            f"{parameters:,}",
        )
