"""What the document says of `idl-ex1-fc-stem-wgan-gp-mnist`."""

from __future__ import annotations

import dataclasses

from reference.api.card import Card, Claim, Deviation, LogSchedule, OptimizerCard, Shape, at_most
from reference.cards.idl_chapter_convolutional import (
    critic_card,
    critic_weights,
    default_weights,
    generator_card,
    generator_weights,
)

_CARD = Card(
    name="idl-ex1-fc-stem-wgan-gp-mnist",
    document="004",
    section="exercise 1",
    title="Convolutional WGAN-GP on MNIST, its generator starting with fully connected layers",
    dataset="mnist",
    data_shape=(1, 28, 28),
    data_range=(0.0, 1.0),
    latent_shape=(128,),
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
              "fid", at_most(1), n_at_least=10_000, extractor="mnistnet", epochs=15, needs_data=True,
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
)



def card_for(stem: int) -> Card:
    """The card of a generator that starts with `stem` blocks."""
    generator = generator_card(((128,),), shift=stem)
    assert generator.parameters is not None
    fans = [128, 784][:stem]
    stem_layers: dict[str, Shape] = {f"{block}.{part}": (784,) for block in range(stem) for part in range(3)}
    stem_parameters = sum((fan + 1) * 784 + 2 * 784 for fan in fans)
    return dataclasses.replace(
        _CARD,
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

