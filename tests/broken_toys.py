"""A reference that fails its checks, for the tests of what happens then."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

from reference import Card, register
from tests.toys import CARD, Toy

_WRONG = dataclasses.replace(CARD.networks["discriminator"], layers={"": (7,)})


@register
@dataclass(frozen=True)
class Unsteady(Toy):
    """Its noise follows the clock, and its card is wrong about a layer."""

    broken: str = "clock"
    card: ClassVar[Card] = dataclasses.replace(
        CARD, name="toy-unsteady", networks={**CARD.networks, "discriminator": _WRONG}
    )
