"""Pictures of one's own: a folder of PNGs, 48×48, under a small DCGAN with an optimiser of its own for each role.

    gan-harness suites --reference-module folder_of_pictures --references my-pictures --data-root FOLDER

Without a folder some pictures of coloured discs are drawn.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from PIL import Image, ImageDraw
from torch import Tensor, nn
from torch.utils.data import Dataset

from reference import Batch, Card, Forward, NetworkCard, Networks, Noise, OptimizerCard, Players, register

SIDE, LATENT, WIDTH = 48, 64, 16


class Pictures(Dataset[Image.Image]):
    """The PNGs of a folder, by name: sorted, for a folder's own order is anybody's guess."""

    def __init__(self, folder: Path) -> None:
        self.files = sorted(folder.glob("*.png"))
        self.title = f"{len(self.files)} PNGs of {folder.name}"

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Image.Image:
        with Image.open(self.files[index]) as picture:
            return picture.convert("RGB")


class Discs(Dataset[Image.Image]):
    """512 discs, drawn: where and in which colour follows from the index."""

    title = "drawn discs"

    def __len__(self) -> int:
        return 512

    def __getitem__(self, index: int) -> Image.Image:
        picture = Image.new("RGB", (SIDE, SIDE), "black")
        x, y, radius = 8 + index % 32, 8 + index // 3 % 32, 4 + index % 5
        colour = ((index * 37) % 256, (index * 91) % 256, 255 - (index * 37) % 256)
        ImageDraw.Draw(picture).ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)
        return picture


@register
@dataclass(frozen=True)
class MyPictures:
    """A DCGAN for 48×48 pixels."""

    card: ClassVar[Card] = Card(
        name="my-pictures",
        data_shape=(3, SIDE, SIDE),
        latent_shape=(LATENT,),
        batch_size=64,
        drop_last=True,
        epochs=10,
        optimizer={
            "generator": OptimizerCard("Adam", 2e-4, (0.5, 0.999)),
            "discriminator": OptimizerCard("RMSprop", 1e-4),
        },
        networks={
            "generator": NetworkCard(inputs=((LATENT,),), output=(3, SIDE, SIDE)),
            "discriminator": NetworkCard(inputs=((3, SIDE, SIDE),), output=(1,)),
        },
    )

    def data(self, root: Path | None) -> Dataset[Image.Image]:
        """Pillow pictures; the harness scales them to the card's range, −1 to 1."""
        return Discs() if root is None else Pictures(root)

    def networks(self) -> dict[str, nn.Module]:
        """From 6×6 to 48×48 and back."""

        def up(inputs: int, outputs: int) -> list[nn.Module]:
            return [nn.ConvTranspose2d(inputs, outputs, 4, 2, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]

        def down(inputs: int, outputs: int) -> list[nn.Module]:
            return [nn.Conv2d(inputs, outputs, 4, 2, 1), nn.LeakyReLU(0.2)]

        generator = nn.Sequential(
            nn.Linear(LATENT, 4 * WIDTH * 36),
            nn.Unflatten(1, (4 * WIDTH, 6, 6)),
            *up(4 * WIDTH, 2 * WIDTH),
            *up(2 * WIDTH, WIDTH),
            nn.ConvTranspose2d(WIDTH, 3, 4, 2, 1),
            nn.Tanh(),
        )
        discriminator = nn.Sequential(
            *down(3, WIDTH),
            *down(WIDTH, 2 * WIDTH),
            *down(2 * WIDTH, 4 * WIDTH),
            nn.Flatten(),
            nn.Linear(4 * WIDTH * 36, 1),
        )
        return {"generator": generator, "discriminator": discriminator}

    def optimizers(self, networks: Networks) -> dict[str, torch.optim.Optimizer]:
        """Adam for the one, RMSprop for the other."""
        return {
            "generator": torch.optim.Adam(networks["generator"].parameters(), 2e-4, (0.5, 0.999)),
            "discriminator": torch.optim.RMSprop(networks["discriminator"].parameters(), 1e-4),
        }

    def step(self, players: Players, batch: Batch, noise: Noise) -> dict[str, Tensor]:
        """One iteration with the hinge loss (Lim and Ye 2017)."""
        generator, discriminator = players.generator, players.discriminator
        n = len(batch.data)
        fake = generator(noise.normal(n, LATENT))
        loss_d = (1 - discriminator(batch.data)).relu().mean() + (1 + discriminator(fake.detach())).relu().mean()
        discriminator.zero_grad()
        discriminator.backward(loss_d)
        discriminator.step()
        loss_g = -discriminator(fake).mean()
        generator.zero_grad()
        generator.backward(loss_g)
        generator.step()
        return {"loss_discriminator": loss_d.detach(), "loss_generator": loss_g.detach()}

    def sample(self, networks: Forward, n: int, noise: Noise) -> Tensor:
        """(n, 3, 48, 48) in −1 to 1."""
        return networks["generator"](noise.normal(n, LATENT))
