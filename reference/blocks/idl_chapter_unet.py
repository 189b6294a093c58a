"""The U-Net that two exercises of document 004 ask for, and how they train it.

Source: document 004 (`004_9711d4b225dd23fb.txt`), chapter 9 of the book *Inside Deep Learning* (`idl`), exercises 4
and 5, which take the architecture from the book's chapter before; after Ronneberger, Fischer and Brox 2015 (arXiv
1505.04597).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from reference.api.card import Shape
from reference.api.protocols import Noise, Players
from reference.blocks.gradient_penalty import gradient_penalty
from reference.blocks.idl_chapter import LEAK, PENALTY

IMAGE: Shape = (1, 28, 28)


def normalised_convolution(inputs: int, outputs: int) -> nn.Sequential:
    """Convolution 3×3 that keeps the side → BatchNorm → LeakyReLU(0.2)."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.LeakyReLU(LEAK))


class UNetBlock(nn.Module):
    """(N, inputs, H, W) → (N, outputs or width, H, W): in, down, the inner block, up, concatenate, out.

    Raises:
        ValueError: a height or width that can't be halved.
    """

    def __init__(self, inputs: int, width: int, outputs: int | None = None, inner: UNetBlock | None = None) -> None:
        super().__init__()
        self.entering = nn.Sequential(normalised_convolution(inputs, width), normalised_convolution(width, width))
        self.inner: nn.Sequential | None = None
        if inner is not None:
            rising = nn.ConvTranspose2d(2 * width, width, 3, stride=2, padding=1, output_padding=1)
            self.inner = nn.Sequential(nn.MaxPool2d(2), inner, rising)
        leaving = [normalised_convolution(width if inner is None else 2 * width, width)]
        self.leaving = nn.Sequential(*leaving, normalised_convolution(width, width))
        self.last = None if outputs is None else nn.Conv2d(width, outputs, 1)

    def forward(self, images: Tensor) -> Tensor:
        features: Tensor = self.entering(images)
        if self.inner is not None:
            height, width = images.shape[-2:]
            if height % 2 or width % 2:
                raise ValueError(f"a U-Net halves its images at every level: {height}×{width} pixels can't be halved")
            features = torch.cat([features, self.inner(features)], dim=1)
        features = self.leaving(features)
        return features if self.last is None else self.last(features)


def unet(inputs: int) -> UNetBlock:
    """(N, inputs, 28, 28) → (N, 1, 28, 28), unbounded: 32, 64 and 128 channels, two convolutions a side."""
    return UNetBlock(inputs, 32, outputs=1, inner=UNetBlock(32, 64, inner=UNetBlock(64, 128)))


def inpainting_step(
    players: Players,
    real: Tensor,
    erased: Tensor,
    noise: Noise,
    latent: int | None,
    *,
    corrected: bool,
    critic_updates: int,
) -> dict[str, Tensor]:
    """Exercises 4 and 5: the loop of section 9.3.3 whose generator gets erased pictures, and latents unless None."""
    generator, critic = players.generator, players.critic
    n = len(real)

    def latents() -> tuple[Tensor, ...]:
        return () if latent is None else (noise.normal(n, latent),)

    for _ in range(critic_updates):
        critic.zero_grad()
        real_scores = critic(real)
        fake = generator(erased, *latents())
        fake_scores = critic(fake)
        epsilon = noise.uniform(n, 1, 1, 1)
        penalty = gradient_penalty(critic, real, fake, epsilon, whole_sample=corrected)
        loss_critic = (fake_scores - real_scores).mean() + penalty * PENALTY
        critic.backward(loss_critic)
        critic.step()

    generator.zero_grad()
    loss_generator = (-critic(generator(erased, *latents()))).mean()
    generator.backward(loss_generator)
    generator.step()

    return {
        "loss_critic": loss_critic.detach(),
        "loss_generator": loss_generator.detach(),
        "gradient_penalty": penalty.detach(),
        "critic(x)": real_scores.detach().mean(),
        "critic(G(z))": fake_scores.detach().mean(),
    }
