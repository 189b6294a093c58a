"""What the listings of document 004 share: the fully connected networks, the optimisers and the two training loops.

Source: document 004 (`004_9711d4b225dd23fb.txt`), sections 9.1.3 (networks and GAN loop) and 9.3.3 (WGAN-GP loop). The
chapter defines each of these once and calls it again in later sections, so they stand once here too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from reference.api.card import InitialWeights, NetworkCard, Shape
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
    players: Players,
    batch: Batch,
    noise: Noise,
    draw: Callable[[], tuple[Tensor, ...]],
    *,
    corrected: bool,
    critic_updates: int,
    given: tuple[Tensor, ...] = (),
) -> dict[str, Tensor]:
    """Section 9.3.3: `critic_updates` critic updates with gradient penalty, then one generator update on fresh noise.

    `draw` returns the generator's inputs, with fresh noise at every call; `given` is what the critic gets beside each
    image (the labels, in section 9.5). `corrected` takes the penalty's norm over all of a sample; as written it runs
    over dimension 1 only.
    """
    generator, critic = players.generator, players.critic
    real = batch.data
    n = len(real)

    for _ in range(critic_updates):
        critic.zero_grad()
        real_scores = critic(real, *given)
        fake = generator(*draw())
        fake_scores = critic(fake, *given)
        epsilon = noise.uniform(n, *(1,) * (real.dim() - 1))
        penalty = gradient_penalty(lambda mixed: critic(mixed, *given), real, fake, epsilon, whole_sample=corrected)
        loss_critic = (fake_scores - real_scores).mean() + penalty * PENALTY
        critic.backward(loss_critic)
        critic.step()

    generator.zero_grad()
    loss_generator = (-critic(generator(*draw()), *given)).mean()
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


def generator_card(latent: int, shape: Shape, *, sigmoid: bool) -> NetworkCard:
    """What the listing says of `fully_connected_generator`."""
    pixels = prod(shape)
    prefix = "0." if sigmoid else ""
    layers: dict[str, Shape] = {f"{prefix}{block}.{part}": (HIDDEN,) for block in range(3) for part in range(3)}
    layers |= {f"{prefix}3": (pixels,), f"{prefix}4": shape}
    if sigmoid:
        layers["1"] = shape
    parameters = (latent + 1) * 512 + 2 * (512 + 1) * 512 + 3 * 2 * 512 + (512 + 1) * pixels
    return NetworkCard(((latent,),), shape, layers, parameters)


def discriminator_card(shape: Shape) -> NetworkCard:
    """What the listing says of `fully_connected_discriminator`."""
    pixels = prod(shape)
    layers: dict[str, Shape] = {"0": (pixels,)}
    layers |= {f"{block}.{part}": (HIDDEN,) for block in (1, 2, 3) for part in range(3)}
    layers["4"] = (1,)
    parameters = (pixels + 1) * 512 + 2 * (512 + 1) * 512 + 3 * 2 * 512 + 512 + 1
    return NetworkCard((shape,), (1,), layers, parameters)


def initial_weights(latent: int, shape: Shape, discriminator: str, *, sigmoid: bool) -> tuple[InitialWeights, ...]:
    """PyTorch's defaults: linear layers uniform in ±1/√(inputs), LayerNorm weights 1 and biases 0."""
    prefix = "0." if sigmoid else ""
    linear: Mapping[tuple[str, str], int] = {
        ("generator", f"{prefix}0.0"): latent,
        ("generator", f"{prefix}1.0"): 512,
        ("generator", f"{prefix}2.0"): 512,
        ("generator", f"{prefix}3"): 512,
        (discriminator, "1.0"): prod(shape),
        (discriminator, "2.0"): 512,
        (discriminator, "3.0"): 512,
        (discriminator, "4"): 512,
    }
    norms = [("generator", f"{prefix}{block}.2") for block in (0, 1, 2)]
    norms += [(discriminator, f"{block}.2") for block in (1, 2, 3)]
    return (
        *(InitialWeights(role, f"{layer}.*", "uniform", -(n**-0.5), n**-0.5) for (role, layer), n in linear.items()),
        *(InitialWeights(role, f"{layer}.weight", "constant", 1.0) for role, layer in norms),
        *(InitialWeights(role, f"{layer}.bias", "constant", 0.0) for role, layer in norms),
    )
