"""Small dense networks, trained by Adam on rows in memory.

Nothing here draws from torch's global generator or depends on it, so several fits may run at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import torch


class Descent(NamedTuple):
    """How to train.

    Attributes:
        epochs: How often each row is seen.
        batch_size: Rows of a step; the last of an epoch may have fewer.
        learning_rate: Adam's.
        seed: Seeds the first weights and the order of rows.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    seed: int

    def draws(self) -> torch.Generator:
        """A generator of its own."""
        import torch

        return torch.Generator().manual_seed(self.seed)


def dense_layer(inputs: int, outputs: int, draws: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Weights (outputs, inputs) and bias (outputs,), float32, drawn like those of `torch.nn.Linear`."""
    import torch

    bound = 1 / math.sqrt(inputs)
    weights = torch.empty(outputs, inputs).uniform_(-bound, bound, generator=draws)
    bias = torch.empty(outputs).uniform_(-bound, bound, generator=draws)
    return weights.requires_grad_(), bias.requires_grad_()


def descend(
    loss: Callable[[torch.Tensor], torch.Tensor],
    parameters: Sequence[torch.Tensor],
    rows: int,
    plan: Descent,
    draws: torch.Generator,
) -> None:
    """Changes parameters in place until the plan is done.

    Args:
        loss: The mean loss over the rows with the given indices.
        parameters: What to change.
        rows: How many rows there are.
        plan: How.
        draws: Gives the order of rows.
    """
    import torch

    adam = torch.optim.Adam(parameters, lr=plan.learning_rate, fused=True)  # a tenth of the time for small batches
    with torch.enable_grad():
        for _ in range(plan.epochs):
            order = torch.randperm(rows, generator=draws)
            for start in range(0, rows, plan.batch_size):
                adam.zero_grad()
                loss(order[start : start + plan.batch_size]).backward()  # type: ignore[no-untyped-call]
                adam.step()
