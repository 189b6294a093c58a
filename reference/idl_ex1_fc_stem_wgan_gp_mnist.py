"""`idl-ex1-fc-stem-wgan-gp-mnist`: the convolutional WGAN-GP whose generator starts fully connected.

Source: document 004 (`004_9711d4b225dd23fb.txt`), exercise 1, on the system of section 9.4.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from reference.api.card import Card, Claim, Deviation, LogSchedule, OptimizerCard, Shape, at_most
from reference.api.protocols import Batch, Networks, Noise, Players, guard
from reference.api.registry import register
from reference.blocks.idl_chapter import adamw, check_critic_updates, fully_connected_block, wgan_gp_step
from reference.blocks.idl_chapter_convolutional import (
    IMAGE,
    convolutional_critic,
    convolutional_generator,
    critic_card,
    critic_weights,
    default_weights,
    generator_card,
    generator_weights,
)

LATENT, STEM = 128, 16 * 7 * 7

CARD = Card(
    name="idl-ex1-fc-stem-wgan-gp-mnist",
    document="004",
    section="exercise 1",
    title="Convolutional WGAN-GP on MNIST, its generator starting with fully connected layers",
    dataset="mnist",
    data_shape=IMAGE,
    data_range=(0.0, 1.0),
    latent_shape=(LATENT,),
    batch_size=128,
    drop_last=True,
    epochs=15,
    seed=0,
    optimizer=OptimizerCard("AdamW", 1e-4, (0.0, 0.9), weight_decay=0.01),
    hyperparameters={"latent": 128, "stem": 784, "filters": 32, "leak": 0.2, "λ": 10},
    log=LogSchedule(every=100, first=100),
    source="written from document 004; the loss after arXiv 1704.00028",
    networks={},
    claims=(
        Claim("better", "004, exercise 1", "the samples look better than without fully connected layers", "a question",
              "fid_mnistnet_10k", at_most(1), epochs=15, needs_data=True,
              versus="idl-conv-wgan-gp-mnist"),
    ),
    deviations=(
        Deviation(1, "harness", "The exercise names one or two fully connected layers and no sizes: here two of the "
                  "chapter's blocks (Linear, LeakyReLU, LayerNorm), 128 → 784 → 784, reshaped to 16×7×7; the option "
                  "`stem` takes 1 or 2 of them. The latent has the chapter's 128 values."),
        Deviation(2, "formula against code", "The loop is the chapter's: its gradient norm runs over dimension 1 only. "
                  "The variant `corrected` takes the formula's norm over the image."),
        Deviation(3, "harness", "Critic, loss, optimiser and the 15 epochs are those of section 9.4; the critic's loss "
                  "isn't detached, but generator gradients that are never used are not computed. Same bits."),
        Deviation(4, "harness", "There is no seed and no log; the default seed is 0, and the log distance of 100 steps "
                  "is this project's."),
    ),
    variants={"corrected": "the penalty's gradient norm runs over all of a sample, as the formula says"},
)  # fmt: skip


def _card_for(stem: int) -> Card:
    """The card of a generator that starts with `stem` blocks."""
    generator = generator_card(((LATENT,),), shift=stem)
    fans = [LATENT, STEM][:stem]
    stem_layers: dict[str, Shape] = {f"{block}.{part}": (STEM,) for block in range(stem) for part in range(3)}
    stem_parameters = sum((fan + 1) * STEM + 2 * STEM for fan in fans)
    return dataclasses.replace(
        CARD,
        networks={
            "generator": dataclasses.replace(
                generator, layers=stem_layers | {**generator.layers}, parameters=generator.parameters + stem_parameters
            ),
            "critic": critic_card(),
        },
        initial_weights=(
            *default_weights(
                "generator",
                [(f"{block}.0", fan) for block, fan in enumerate(fans)],
                [f"{block}.2" for block in range(stem)],
            ),
            *generator_weights(shift=stem),
            *critic_weights(),
        ),
    )


@register
@dataclass(frozen=True)
class IdlEx1FcStemWganGpMnist:
    """The system of exercise 1.

    `stem` is the number of fully connected blocks, 1 or 2. `corrected` takes the formula's gradient norm;
    `critic_updates` per generator update is 1 as written.
    """

    corrected: bool = False
    critic_updates: int = 1
    stem: int = 2
    card: ClassVar[Card] = _card_for(2)

    def __post_init__(self) -> None:
        check_critic_updates(self.critic_updates)
        if self.stem not in (1, 2):
            raise ValueError(f"stem must be 1 or 2, as the exercise has it, not {self.stem}")
        object.__setattr__(self, "card", _card_for(self.stem))

    def networks(self) -> dict[str, nn.Module]:
        """Generator (N, 128) → (N, 1, 28, 28) in [0, 1]; critic (N, 1, 28, 28) → scores (N, 1)."""
        stem = [fully_connected_block(inputs, STEM) for inputs in (LATENT, STEM)[: self.stem]]
        return guard({"generator": convolutional_generator(*stem), "critic": convolutional_critic()}, self.card)

    def optimizers(self, networks: Networks) -> dict[str, torch.optim.Optimizer]:
        """The chapter's AdamW."""
        return adamw(networks)

    def step(self, players: Players, batch: Batch, noise: Noise) -> dict[str, Tensor]:
        """The chapter's WGAN-GP loop body."""
        n = len(batch.data)
        return wgan_gp_step(
            players, batch, noise, lambda: (noise.normal(n, LATENT),),
            corrected=self.corrected, critic_updates=self.critic_updates,
        )  # fmt: skip

    def sample(
        self,
        networks: Networks,
        n: int,
        noise: Noise,
        labels: Tensor | None = None,
        condition: Tensor | None = None,
    ) -> Tensor:
        """(n, 1, 28, 28) in [0, 1]; labels and condition play no part."""
        samples: Tensor = networks["generator"](noise.normal(n, LATENT))
        return samples
