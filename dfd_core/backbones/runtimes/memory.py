"""Where a device's memory does not suffice: how that is told from other faults, and what becomes of the batch size."""

from __future__ import annotations

import logging

import torch

logger = logging.getLogger(__name__)

_SIGNS = (
    "out of memory",  # CUDA's own and its driver's, for pinned memory too, and HIP's
    "STATUS_ALLOC_FAILED",  # of cuBLAS, cuDNN and their kin
    "ALLOCATION_FAILED",  # cuDNN 9, of the host and of the device
    "unable to find an engine to execute this computation",  # cuDNN, where there was no room for any one's workspace
    "nable to find a valid cuDNN algorithm",
    "can't allocate memory",  # on the CPU
)
PATIENCE = 32


def lacks_memory(error: Exception) -> bool:
    """Whether an error says that there was no room, whichever library found that out."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in _SIGNS)


class Shortages:
    """The batch size of a network in use: halved where a batch does not fit, doubled again once that may have passed.

    Larger batches are tried after `PATIENCE` batches that fit, and after twice as many each time that was in vain, so
    that a lasting shortage costs little.

    Args:
        device: For the log.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._wanted: int | None = None
        self._fitted, self._patience, self._is_trying = 0, PATIENCE, False
        self._least_told: int | None = None

    @property
    def is_on(self) -> bool:
        """Whether batches are smaller than was wanted."""
        return self._wanted is not None

    def after_one(self, size: int, images: int, error: Exception) -> int | None:
        """The batch size after some images did not fit; `None` where there is no smaller one.

        Args:
            size: The batch size.
            images: How many there were.
            error: What said so.
        """
        tried = min(size, images)
        if tried == 1:
            return None
        if self._wanted is None:
            self._wanted = size
        if self._is_trying:
            self._patience *= 2
        self._fitted, self._is_trying, smaller = 0, False, tried // 2
        if self._least_told is None or smaller < self._least_told:
            self._least_told = smaller
            logger.warning(
                "A batch of %d images did not fit into the memory of %s (%s). Batches have %d from now on; larger ones "
                "are tried again later.",
                tried,
                self._device,
                str(error).partition("\n")[0],
                smaller,
            )
        return smaller

    def after_success(self, size: int, images: int) -> int:
        """The batch size after some images fitted; the same or, once it is time, twice as many.

        Args:
            size: The batch size.
            images: How many there were; fewer than a batch prove nothing.
        """
        if self._wanted is None or images < size:
            return size
        self._fitted += 1
        if size >= self._wanted:
            logger.info("Batches of %d images fit into the memory of %s again.", size, self._device)
            self._wanted, self._is_trying, self._fitted = None, False, 0
        elif self._fitted >= self._patience:
            self._fitted, self._is_trying = 0, True
            return min(self._wanted, 2 * size)
        return size
