"""A GAN of what people make theirs of: an averaged copy, a transformer, norms, lazy layers, casts, a schedule."""

from __future__ import annotations

import copy
import dataclasses
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrizations

from reference import Batch, Card, Networks, Noise, Players, register
from tests import toys

KERNEL = torch.tensor([0.5, 2.0])  # made when the module is loaded


class Scaled(nn.Module):
    """Computes in bfloat16, with a tensor that is neither a parameter nor a buffer."""

    def forward(self, input: Tensor) -> Tensor:
        with torch.autocast(input.device.type, torch.bfloat16):
            return (input * KERNEL.to(input.device)).float()


CARD = dataclasses.replace(toys.CARD, name="toy-ingredients", networks={}, initial_weights=())


@register
@dataclass(frozen=True)
class Ingredients:
    """Two steps of the discriminator for one of the generator, whose average samples."""

    card: ClassVar[Card] = CARD

    def networks(self) -> dict[str, nn.Module]:
        layer = nn.TransformerEncoderLayer(4, 2, 8, dropout=0.1, batch_first=True)
        attention = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
        generator = nn.Sequential(
            nn.Linear(3, 8), nn.BatchNorm1d(8), nn.Unflatten(1, (2, 4)), attention, nn.Flatten(), nn.Linear(8, 2)
        )
        discriminator = nn.Sequential(
            Scaled(),
            nn.LazyLinear(8),
            nn.LazyBatchNorm1d(),
            nn.Dropout(0.1),
            parametrizations.spectral_norm(nn.Linear(8, 4)),
            nn.utils.spectral_norm(nn.Linear(4, 1)),
        )
        frozen = nn.Linear(2, 2).requires_grad_(False)
        average = copy.deepcopy(generator).requires_grad_(False)
        return {"generator": generator, "discriminator": nn.Sequential(frozen, discriminator), "average": average}

    def optimizers(self, networks: Networks) -> dict[str, torch.optim.Optimizer]:
        learning = [parameter for parameter in networks["discriminator"].parameters() if parameter.requires_grad]
        groups: list[dict[str, object]] = [{"params": learning[:2]}, {"params": learning[2:]}]
        return {
            "generator": torch.optim.Adam(networks["generator"].parameters(), lr=0.01),
            "discriminator": torch.optim.Adam(groups, lr=0.01),
        }

    def schedulers(self, optimizers: dict[str, torch.optim.Optimizer]) -> dict[str, object]:
        return {role: torch.optim.lr_scheduler.ExponentialLR(o, 0.999) for role, o in optimizers.items()}

    def step(self, players: Players, batch: Batch, noise: Noise) -> dict[str, Tensor]:
        generator, discriminator = players.generator, players.discriminator
        n = len(batch.data)
        for _ in range(2):
            fake = generator(noise.normal(n, 3)).detach()
            d_loss = functional.softplus(discriminator(fake)).mean()
            d_loss = d_loss + functional.softplus(-discriminator(batch.data)).mean()
            discriminator.zero_grad()
            discriminator.backward(d_loss)
            discriminator.step()
        g_loss = functional.softplus(-discriminator(generator(noise.normal(n, 3)))).mean()
        generator.zero_grad()
        generator.backward(g_loss)
        generator.step()
        with torch.no_grad():
            kept = players.average.state_dict()  # type: ignore[attr-defined]
            for name, value in generator.network.state_dict().items():
                if value.is_floating_point():
                    kept[name].lerp_(value, 0.1)
                else:
                    kept[name].copy_(value)
        return {"loss_discriminator": d_loss.detach(), "loss_generator": g_loss.detach()}

    def sample(self, networks: Networks, n: int, noise: Noise, *_: object) -> Tensor:
        samples: Tensor = networks["average"](noise.normal(n, 3))
        return samples
