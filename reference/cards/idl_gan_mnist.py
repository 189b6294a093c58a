"""What the document says of `idl-gan-mnist`."""

from __future__ import annotations

from reference.api.card import Card, Claim, Deviation, LogSchedule, OptimizerCard, at_least, at_most
from reference.cards.idl_chapter import discriminator_card, generator_card, initial_weights

CARD = Card(
    name="idl-gan-mnist",
    document="004",
    section="9.1.3",
    title="A fully connected GAN on MNIST",
    dataset="mnist",
    data_shape=(28, 28),
    data_range=(0.0, 1.0),
    latent_shape=(128,),
    batch_size=128,
    drop_last=True,
    epochs=10,
    seed=0,
    optimizer=OptimizerCard("AdamW", 1e-4, (0.0, 0.9), weight_decay=0.01),
    hyperparameters={"latent": 128, "hidden": 512, "leak": 0.2},
    log=LogSchedule(every=100, first=100),
    source="written from document 004",
    networks={
        "generator": generator_card(128, (28, 28), sigmoid=True),
        "discriminator": discriminator_card((28, 28)),
    },
    initial_weights=initial_weights(128, (28, 28), "discriminator", sigmoid=True),
    claims=(
        Claim("d-wins", "004, 9.1.3, the loss plot", "the discriminator's loss stays near zero", "near 0",
              "last_epoch_mean", at_most(0.35), where={"quantity": "loss_discriminator"}, epochs=10, needs_data=True),
        Claim("g-worse", "004, 9.1.3, the loss plot",
              "the generator always does worse than the discriminator", "G above D",
              "generator_loss_above_share", at_least(0.95), epochs=10, needs_data=True),
        Claim("favours", "004, 9.1.3, the printed samples", "0, 3 and 8 dominate the samples", "0, 3, 8",
              "share_of_0_3_8", at_least(0.5), n_at_least=10_000, extractor="mnistnet", epochs=10, needs_data=True),
    ),
    deviations=(
        Deviation(1, "harness", "Real images arrive as (28, 28), the generated images' shape; in the print they have "
                  "a channel axis that the discriminator's first layer flattens away. Same bits."),
        Deviation(2, "harness", "The print fixes no seed; the default here is 0. It prints no log; the loss names and "
                  "the log distance of 100 steps are this project's."),
        Deviation(3, "harness", "'Near zero' is read as at most 0.35, a quarter of the loss of a discriminator that "
                  "guesses (2 ln 2), as the mean over the last epoch."),
    ),
)

