"""A DCGAN as one writes it down, in PyTorch alone: it knows nothing of any harness. `test_plain_dcgan.py` checks it."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

LATENT, SIDE, BATCH = 16, 16, 32


def real_images(n: int = 512) -> Tensor:
    """(n, 1, 16, 16) in −1 to 1: bright squares on black, the same every time."""
    generator = torch.Generator().manual_seed(0)
    images = -torch.ones(n, 1, SIDE, SIDE)
    for image, (x, y, size) in zip(images, torch.randint(2, 8, (n, 3), generator=generator).tolist(), strict=True):
        image[:, y : y + size, x : x + size] = 1
    return images


def make_networks() -> tuple[nn.Module, nn.Module]:
    """Generator and discriminator."""
    generator = nn.Sequential(
        nn.ConvTranspose2d(LATENT, 32, 4),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.ConvTranspose2d(32, 16, 4, 2, 1),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.ConvTranspose2d(16, 1, 4, 2, 1),
        nn.Tanh(),
    )
    discriminator = nn.Sequential(
        nn.Conv2d(1, 16, 4, 2, 1), nn.LeakyReLU(0.2), nn.Conv2d(16, 32, 4, 2, 1), nn.LeakyReLU(0.2), nn.Conv2d(32, 1, 4)
    )
    return generator, discriminator


class Training:
    """Everything that a step needs and a checkpoint keeps."""

    def __init__(self, batch_size: int = BATCH) -> None:
        self.generator, self.discriminator = make_networks()
        self.adam_g = torch.optim.Adam(self.generator.parameters(), 2e-4, (0.5, 0.999))
        self.adam_d = torch.optim.Adam(self.discriminator.parameters(), 2e-4, (0.5, 0.999))
        self.images, self.batch_size, self.done = real_images(), batch_size, 0

    def step(self) -> float:
        """One iteration."""
        real = self.images[torch.randint(len(self.images), (self.batch_size,))]
        fake = self.generator(torch.randn(self.batch_size, LATENT, 1, 1))
        loss_d = nn.functional.softplus(-self.discriminator(real)) + nn.functional.softplus(
            self.discriminator(fake.detach())
        )
        self.adam_d.zero_grad()
        loss_d.mean().backward()
        self.adam_d.step()
        loss_g = nn.functional.softplus(-self.discriminator(fake)).mean()
        self.adam_g.zero_grad()
        loss_g.backward()
        self.adam_g.step()
        self.done += 1
        return loss_g.item()

    def save(self, path: Path) -> None:
        """A checkpoint, whole or not at all."""
        parts = {name: getattr(self, name).state_dict() for name in ("generator", "discriminator", "adam_g", "adam_d")}
        torch.save({**parts, "done": self.done, "random": torch.get_rng_state()}, path.with_suffix(".part"))
        path.with_suffix(".part").rename(path)

    def load(self, path: Path) -> None:
        """Go on from there."""
        kept = torch.load(path, weights_only=True)
        for name in ("generator", "discriminator", "adam_g", "adam_d"):
            getattr(self, name).load_state_dict(kept[name])
        self.done = kept["done"]
        torch.set_rng_state(kept["random"])


def train(seed: int, steps: int, folder: Path) -> dict[str, nn.Module]:
    """Train from a seed, or on from the checkpoint that lies in the folder."""
    torch.manual_seed(seed)
    training, checkpoint = Training(), folder / "checkpoint.pt"
    if checkpoint.is_file():
        training.load(checkpoint)
    while training.done < steps:
        training.step()
        if training.done % 5 == 0:
            training.save(checkpoint)
    return {"generator": training.generator, "discriminator": training.discriminator}
