"""What sections 9.5.1 and 9.5.2 of document 004 define and its second exercise changes: conditioning on a label.

Source: document 004 (`004_9711d4b225dd23fb.txt`), chapter 9 of the book *Inside Deep Learning* (`idl`), section 9.5.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import torch
from torch import Tensor, nn

from reference.api.card import Shape
from reference.api.protocols import Batch, Noise, Players
from reference.blocks.gradient_penalty import gradient_penalty
from reference.blocks.idl_chapter import LEAK, PENALTY, View, fully_connected_block

CLASSES = 10


class ConditionalWrapper(nn.Module):
    """A network that gets a label beside its input: (N, *shape), labels (N,) → whatever `network` makes of (N, *shape).

    The label's embedding has the input's size; `combine` makes one input of both. Without labels they are drawn from
    torch's global random state, as printed.

    Raises:
        ValueError: labels that aren't whole numbers, or not one per sample.
    """

    def __init__(self, shape: Shape, network: nn.Module, combiner: nn.Module) -> None:
        super().__init__()
        self.shape = shape
        self.label_embedding = nn.Embedding(CLASSES, prod(shape))
        self.combiner = combiner
        self.net = network

    def forward(self, inputs: Tensor, labels: Tensor | None = None) -> Tensor:
        if labels is None:
            labels = torch.randint(CLASSES, (len(inputs),), device=inputs.device)
        check_labels(labels, len(inputs))
        embedded = self.label_embedding(labels.long()).view(-1, *self.shape)
        outputs: Tensor = self.net(self.combiner(torch.cat([inputs.view(-1, *self.shape), embedded], dim=1)))
        return outputs


def flat_combiner(shape: Shape) -> nn.Sequential:
    """Input and embedding, side by side in dimension 1, through two fully connected layers to (N, *shape)."""
    size = prod(shape)
    return nn.Sequential(
        nn.Flatten(),
        fully_connected_block(2 * size, size),
        nn.Linear(size, size),
        nn.LeakyReLU(LEAK),
        View(shape),
        nn.LayerNorm(list(shape)),
    )


def conditional_step(
    players: Players, batch: Batch, noise: Noise, latent: int, *, corrected: bool, critic_updates: int
) -> dict[str, Tensor]:
    """Section 9.5.2: the loop of section 9.3.3 in which generator and critic get the batch's labels everywhere.

    Raises:
        ValueError: the batch has no labels.
    """
    generator, critic = players.generator, players.critic
    real, labels = batch.data, _labels(batch)
    n = len(real)

    for _ in range(critic_updates):
        critic.zero_grad()
        real_scores = critic(real, labels)
        fake = generator(noise.normal(n, latent), labels)
        fake_scores = critic(fake, labels)
        epsilon = noise.uniform(n, 1, 1, 1)
        penalty = gradient_penalty(lambda mixed: critic(mixed, labels), real, fake, epsilon, whole_sample=corrected)
        loss_critic = (fake_scores - real_scores).mean() + penalty * PENALTY
        critic.backward(loss_critic)
        critic.step()

    generator.zero_grad()
    loss_generator = (-critic(generator(noise.normal(n, latent), labels), labels)).mean()
    generator.backward(loss_generator)
    generator.step()

    return {
        "loss_critic": loss_critic.detach(),
        "loss_generator": loss_generator.detach(),
        "gradient_penalty": penalty.detach(),
        "critic(x)": real_scores.detach().mean(),
        "critic(G(z))": fake_scores.detach().mean(),
    }


def conditional_sample(
    generator: Callable[..., Tensor], n: int, noise: Noise, labels: Tensor | None, latent: int
) -> Tensor:
    """`n` samples of the labels given, or of labels drawn after the latents.

    Raises:
        ValueError: labels out of range or of another type; another number of them.
    """
    latents = noise.normal(n, latent)
    if labels is None:
        labels = noise.integers(CLASSES, n)
    check_labels(labels.cpu(), n)
    return generator(latents, labels)


def check_labels(labels: Tensor, n: int) -> None:
    """Raise ValueError unless these are `n` whole numbers from 0 to 9.

    Values on a GPU aren't looked at: that would make every step wait for it. Nor are those of tensors that have none,
    which stand in where only shapes are followed. What data hold is checked when they are opened.
    """
    if labels.dtype not in (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8):
        raise ValueError(f"labels must be whole numbers from 0 to {CLASSES - 1}, not of type {labels.dtype}")
    if labels.shape != (n,):
        raise ValueError(f"labels must have the shape ({n},), one per sample, not {tuple(labels.shape)}")
    readable = labels.device.type == "cpu" and type(labels) is Tensor
    wrong = labels[(labels < 0) | (labels >= CLASSES)] if readable else labels[:0]
    if len(wrong):
        raise ValueError(f"labels must be whole numbers from 0 to {CLASSES - 1}, not {int(wrong[0])}")


def _labels(batch: Batch) -> Tensor:
    if batch.labels is None:
        raise ValueError("a conditional step needs a batch with labels, and this data set has none")
    return batch.labels
