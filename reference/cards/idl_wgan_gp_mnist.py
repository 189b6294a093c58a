"""What the document says of `idl-wgan-gp-mnist`."""

from __future__ import annotations

from reference.api.card import Card, Claim, Deviation, LogSchedule, OptimizerCard, at_most, exactly
from reference.cards.idl_chapter import discriminator_card, generator_card, initial_weights

CARD = Card(
    name="idl-wgan-gp-mnist",
    document="004",
    section="9.3.3",
    title="Fully connected WGAN-GP on MNIST",
    dataset="mnist",
    data_shape=(1, 28, 28),
    data_range=(0.0, 1.0),
    latent_shape=(128,),
    batch_size=128,
    drop_last=True,
    epochs=40,
    seed=0,
    optimizer=OptimizerCard("AdamW", 1e-4, (0.0, 0.9), weight_decay=0.01),
    hyperparameters={"latent": 128, "hidden": 512, "leak": 0.2, "λ": 10},
    log=LogSchedule(every=100, first=100),
    source="written from document 004; the loss after arXiv 1704.00028",
    networks={
        "generator": generator_card(128, (1, 28, 28), sigmoid=True),
        "critic": discriminator_card((1, 28, 28)),
    },
    initial_weights=initial_weights(128, (1, 28, 28), "critic", sigmoid=True),
    claims=(
        Claim("all-digits", "004, 9.3.3, the printed samples", "all ten digits are found in the samples", "10 of 10",
              "class_coverage", exactly(10), n_at_least=10_000, extractor="mnistnet", epochs=40, needs_data=True),
        Claim("more-digits", "004, 9.3.3, the printed samples", "the samples favour fewer digits than the plain GAN's",
              "ten digits against 0, 3 and 8", "class_kl_to_uniform", at_most(0.5),
              n_at_least=10_000, extractor="mnistnet", epochs=10, needs_data=True,
              versus="idl-gan-mnist"),
    ),
    deviations=(
        Deviation(1, "formula against code", "The code takes the gradient's norm over dimension 1 only. On images "
                  "(B, 1, 28, 28) that is each pixel's absolute gradient, pulled to 1 per pixel, not the norm over "
                  "the image that the formula asks for. As written does what the code does; the variant `corrected` "
                  "takes the formula."),
        Deviation(2, "harness", "The critic's loss isn't detached from the generator, as printed; the generator "
                  "gradients that this would add are cleared before use, so they are not computed. Same bits."),
        Deviation(3, "harness", "`critic_updates` is 1, as in the code; the text names 5 as the usual improvement. "
                  "Above 1, the critic is updated on the same real batch with fresh noise each time."),
        Deviation(4, "harness", "The print fixes no seed; the default here is 0. It prints no log; the loss names and "
                  "the log distance of 100 steps are this project's."),
    ),
    variants={"corrected": "the penalty's gradient norm runs over all of a sample, as the formula says"},
)

