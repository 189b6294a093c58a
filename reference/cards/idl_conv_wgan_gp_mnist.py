"""What the document says of `idl-conv-wgan-gp-mnist`."""

from __future__ import annotations

from reference.api.card import Card, Claim, Deviation, LogSchedule, OptimizerCard, at_least, at_most, between
from reference.cards.idl_chapter_convolutional import critic_card, critic_weights, generator_card, generator_weights

CARD = Card(
    name="idl-conv-wgan-gp-mnist",
    document="004",
    section="9.4",
    title="Convolutional WGAN-GP on MNIST",
    dataset="mnist",
    data_shape=(1, 28, 28),
    data_range=(0.0, 1.0),
    latent_shape=(784,),
    batch_size=128,
    drop_last=True,
    epochs=15,
    seed=0,
    optimizer=OptimizerCard("AdamW", 1e-4, (0.0, 0.9), weight_decay=0.01),
    hyperparameters={"latent": 784, "filters": 32, "leak": 0.2, "λ": 10},
    log=LogSchedule(every=100, first=100),
    source="written from document 004; the loss after arXiv 1704.00028",
    networks={"generator": generator_card(), "critic": critic_card()},
    initial_weights=(*generator_weights(), *critic_weights()),
    claims=(
        Claim("better-digits", "004, 9.4.2", "the digits look much better than those of the fully connected WGAN-GP",
              "much better", "fid", at_most(0.8), n_at_least=10_000, extractor="mnistnet", epochs=15, needs_data=True,
              versus="idl-wgan-gp-mnist"),
        Claim("generator-rises", "004, 9.4.2, the loss plot", "the generator's loss keeps a clear upward trend",
              "upwards", "trend", at_least(0.5), where={"quantity": "loss_generator"}, epochs=15, needs_data=True),
        Claim("critic-flat", "004, 9.4.2, the loss plot", "the critic's loss stays flat", "flat",
              "trend", between(-0.5, 0.5), where={"quantity": "loss_critic"}, epochs=15, needs_data=True),
    ),
    deviations=(
        Deviation(1, "formula against code", "The code takes the gradient's norm over dimension 1 only: on images "
                  "(B, 1, 28, 28) each pixel's absolute gradient. As written does what the code does; the variant "
                  "`corrected` takes the formula's norm over the image."),
        Deviation(2, "text against code", "The text below the training speaks of ten epochs, the code trains for 15. "
                  "The code counts."),
        Deviation(3, "harness", "The critic's loss isn't detached from the generator, as printed; the generator "
                  "gradients that this would add are cleared before use, so they are not computed. Same bits."),
        Deviation(4, "harness", "`critic_updates` is 1, as in the code; the text of section 9.3 names 5 as the usual "
                  "improvement."),
        Deviation(5, "harness", "The print fixes no seed; the default here is 0. It prints no log; the loss names and "
                  "the log distance of 100 steps are this project's. A trend is the rank correlation, with time, of "
                  "the loss' means over 100 steps, without the first 300 steps, which the text sets apart."),
    ),
    variants={"corrected": "the penalty's gradient norm runs over all of a sample, as the formula says"},
)

