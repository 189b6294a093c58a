"""What the listings of document 004 share: the fully connected networks, the optimisers and the two training loops.

Source: document 004 (`004_9711d4b225dd23fb.txt`), chapter 9 of the book *Inside Deep Learning* (`idl`), sections
9.1.3 (networks and GAN loop) and 9.3.3 (WGAN-GP loop). The chapter defines each of these once and calls it again in
later sections, so they stand once here too.
"""

from __future__ import annotations

from math import prod

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from reference.api.card import Shape
from reference.api.protocols import Batch, Networks, Noise, Players
from reference.blocks.gradient_penalty import gradient_penalty

HIDDEN, LEAK, PENALTY = 512, 0.2, 10.0


class View(nn.Module):
    """Reshape to (N, *shape); the chapter's helper from an earlier chapter."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs.view(-1, *self.shape)


def fully_connected_block(inputs: int, outputs: int) -> nn.Sequential:
    """Linear → LeakyReLU(0.2) → LayerNorm, in this order."""
    return nn.Sequential(nn.Linear(inputs, outputs), nn.LeakyReLU(LEAK), nn.LayerNorm(outputs))


def fully_connected_generator(latent: int, shape: Shape, *, sigmoid: bool) -> nn.Sequential:
    """(N, latent) → (N, *shape); with `sigmoid` in [0, 1] and nested one level deeper, as in the listing."""
    layers = nn.Sequential(
        fully_connected_block(latent, HIDDEN),
        fully_connected_block(HIDDEN, HIDDEN),
        fully_connected_block(HIDDEN, HIDDEN),
        nn.Linear(HIDDEN, prod(shape)),
        View(shape),
    )
    return nn.Sequential(layers, nn.Sigmoid()) if sigmoid else layers


def fully_connected_discriminator(shape: Shape) -> nn.Sequential:
    """(N, *shape) → one unbounded score each, (N, 1)."""
    return nn.Sequential(
        nn.Flatten(),
        fully_connected_block(prod(shape), HIDDEN),
        fully_connected_block(HIDDEN, HIDDEN),
        fully_connected_block(HIDDEN, HIDDEN),
        nn.Linear(HIDDEN, 1),
    )


def adamw(networks: Networks) -> dict[str, torch.optim.Optimizer]:
    """AdamW(1e-4, betas 0.0 and 0.9) for every role; weight decay is PyTorch's default, 0.01."""
    return {
        role: torch.optim.AdamW(network.parameters(), lr=1e-4, betas=(0.0, 0.9)) for role, network in networks.items()
    }


def gan_step(players: Players, batch: Batch, noise: Noise, latent: int) -> dict[str, Tensor]:
    """Section 9.1.3: discriminator on real, on fake (detached), one update; generator on the same fake batch."""
    generator, discriminator = players.generator, players.discriminator
    n = len(batch.data)
    ones = batch.data.new_ones(n, 1)
    zeros = batch.data.new_zeros(n, 1)

    discriminator.zero_grad()
    real_scores = discriminator(batch.data)
    loss_real = binary_cross_entropy_with_logits(real_scores, ones)
    discriminator.backward(loss_real)
    fake = generator(noise.normal(n, latent))
    fake_scores = discriminator(fake.detach())
    loss_fake = binary_cross_entropy_with_logits(fake_scores, zeros)
    discriminator.backward(loss_fake)
    discriminator.step()

    generator.zero_grad()
    loss_generator = binary_cross_entropy_with_logits(discriminator(fake), ones)
    generator.backward(loss_generator)
    generator.step()

    return {
        "loss_discriminator": (loss_real + loss_fake).detach(),
        "loss_generator": loss_generator.detach(),
        "D(x)": real_scores.detach().sigmoid().mean(),
        "D(G(z))": fake_scores.detach().sigmoid().mean(),
    }


def wgan_gp_step(
    players: Players, batch: Batch, noise: Noise, latent: int, *, corrected: bool, critic_updates: int
) -> dict[str, Tensor]:
    """Section 9.3.3: `critic_updates` critic updates with gradient penalty, then one generator update on fresh noise.

    `corrected` takes the penalty's norm over all of a sample; as written it runs over dimension 1 only.
    """
    generator, critic = players.generator, players.critic
    real = batch.data
    n = len(real)

    for _ in range(critic_updates):
        critic.zero_grad()
        real_scores = critic(real)
        fake = generator(noise.normal(n, latent))
        fake_scores = critic(fake)
        epsilon = noise.uniform(n, *(1,) * (real.dim() - 1))
        penalty = gradient_penalty(critic, real, fake, epsilon, whole_sample=corrected)
        loss_critic = (fake_scores - real_scores).mean() + penalty * PENALTY
        critic.backward(loss_critic)
        critic.step()

    generator.zero_grad()
    loss_generator = (-critic(generator(noise.normal(n, latent)))).mean()
    generator.backward(loss_generator)
    generator.step()

    return {
        "loss_critic": loss_critic.detach(),
        "loss_generator": loss_generator.detach(),
        "gradient_penalty": penalty.detach(),
        "critic(x)": real_scores.detach().mean(),
        "critic(G(z))": fake_scores.detach().mean(),
    }


def check_critic_updates(critic_updates: int) -> None:
    """Raise ValueError unless at least one critic update is asked for."""
    if critic_updates < 1:
        raise ValueError(f"critic_updates must be 1 or more, not {critic_updates}")
