"""What the document says of `idl-wgan-gp-grid`."""

from __future__ import annotations

from reference.api.card import Card, Claim, Deviation, LogSchedule, OptimizerCard, exactly
from reference.cards.idl_chapter import discriminator_card, generator_card, initial_weights

CARD = Card(
    name="idl-wgan-gp-grid",
    document="004",
    section="9.3.3",
    title="WGAN-GP on a 3×3 grid of Gaussians",
    dataset="gaussian-grid",
    data_shape=(2,),
    data_range=(-1.5, 1.5),
    latent_shape=(64,),
    batch_size=128,
    drop_last=True,
    epochs=20,
    seed=0,
    optimizer=OptimizerCard("AdamW", 1e-4, (0.0, 0.9), weight_decay=0.01),
    hyperparameters={"latent": 64, "hidden": 512, "leak": 0.2, "λ": 10, "σ": 0.05},
    log=LogSchedule(every=100, first=100),
    source="written from document 004; the loss after arXiv 1704.00028",
    networks={
        "generator": generator_card(64, (2,), sigmoid=False),
        "critic": discriminator_card((2,)),
    },
    initial_weights=initial_weights(64, (2,), "critic", sigmoid=False),
    claims=(
        Claim("all-modes", "004, 9.3.3, the density plot",
              "all nine modes show in the density, some weaker than others", "9 of 9",
              "modes_with_mass", exactly(9), n_at_least=10_000,
              epochs=20),
    ),
    deviations=(
        Deviation(1, "harness", "The critic's loss isn't detached from the generator, as printed; the generator "
                  "gradients that this would add are cleared before use, so they are not computed. Same bits."),
        Deviation(2, "harness", "`critic_updates` is 1, as in the code; the text names 5 as the usual improvement. "
                  "Above 1, the critic is updated on the same real batch with fresh noise each time."),
        Deviation(3, "harness", "The print fixes no seed; the default here is 0."),
        Deviation(4, "harness", "The gradient's norm over dimension 1 is, for two-dimensional points, the formula's "
                  "norm: there is nothing to correct here. For images there is: see idl-wgan-gp-mnist."),
    ),
)

