"""A reference ready to be trained: networks, their optimisers and schedules, and the players that a step is handed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from harness.training.player import EnginePlayer, MakePlayer, make_players
from harness.training.returned import check_values, made_optimizers
from harness.training.schedules import make_schedulers
from reference import Batch, Noise, Reference


class System:
    """`networks` with what trains them; `make_player` makes a role's player, of its network and optimiser.

    Raises:
        ValueError: what `optimizers()` or `schedulers()` of the reference return can't be used.
    """

    def __init__(
        self,
        reference: Reference,
        networks: Mapping[str, nn.Module],
        make_player: MakePlayer = lambda _, network, optimizer: EnginePlayer(network, optimizer),
    ) -> None:
        self.reference = reference
        self.networks = dict(networks)
        self.optimizers = made_optimizers(reference, self.networks)
        self.schedulers = make_schedulers(reference, self.optimizers)
        self.players: Any = make_players(self.networks, self.optimizers, make_player)
        self._names: tuple[str, ...] | None = None

    def step(self, batch: Batch, noise: Noise) -> dict[str, Tensor]:
        """One documented iteration, after which the schedules move on; what it logs.

        Raises:
            ValueError: it returns no scalars by name, or others than before.
        """
        values = self.reference.step(self.players, batch, noise)
        self._names = check_values(self.reference, values, self._names)
        for scheduler in self.schedulers.values():
            scheduler.step()
        return values
