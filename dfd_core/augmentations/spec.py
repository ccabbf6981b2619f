"""An augmentation: a name, steps in their order, a seed."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from dfd_core.augmentations.steps import Step
from dfd_core.specs import Spec, content_hash, readable_key

NONE = "none"


class AugmentationSpec(Spec):
    """A named chain of pixel changes.

    Attributes:
        name: Its name in results.
        steps: What is done, in this order; nothing for `none`.
        seed: Chooses the draws, together with the sample and the step's position.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=80)]
    steps: tuple[Step, ...] = ()
    seed: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _none_is_the_one_without_steps(self) -> AugmentationSpec:
        if not self.steps and self.name != NONE:
            raise ValueError(f"{self.name!r} has no steps; only {NONE!r} has none")
        if self.steps and self.name == NONE:
            raise ValueError(f"{NONE!r} has no steps; give this chain another name")
        return self

    @property
    def is_drawn(self) -> bool:
        """Whether chance has a part in it."""
        return any(step.is_drawn for step in self.steps)

    def key(self) -> str:
        """The name, then a hash of what decides the pixels; `none` for none.

        The hash covers the steps, and the seed only where something is drawn. The name is the readable part and not in
        the hash: a chain that was changed under its old name gets another key, and so does one that was renamed.
        """
        if not self.steps:
            return NONE
        steps = [step.model_dump(mode="json") for step in self.steps]
        return readable_key(self.name, content_hash({"steps": steps, "seed": self.seed if self.is_drawn else None}))

    def describe(self) -> str:
        """A short text for tables: "JPEG quality 30 to 100 with probability 0.5"."""
        return ", then ".join(step.describe() for step in self.steps) or "unchanged"
