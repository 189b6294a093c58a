"""What the document says of `mlp-gan-mnist`."""

from __future__ import annotations

from reference.api.card import (
    Card,
    Claim,
    Deviation,
    InitialWeights,
    LogLine,
    LogSchedule,
    NetworkCard,
    OptimizerCard,
    between,
    exactly,
)


def _log(epoch: int, step: int, d_loss: float, g_loss: float, real: float, fake: float) -> LogLine:
    values = {"loss_discriminator": d_loss, "loss_generator": g_loss, "D(x)": real, "D(G(z))": fake}
    return LogLine(epoch, step, values)


CARD = Card(
    name="mlp-gan-mnist",
    document="001",
    section="GAN 对抗生成网络实例",
    title="An MLP GAN on MNIST",
    dataset="mnist",
    data_shape=(784,),
    data_range=(-1.0, 1.0),
    latent_shape=(64,),
    batch_size=100,
    drop_last=False,
    epochs=200,
    seed=0,
    optimizer=OptimizerCard("Adam", 3e-4, (0.9, 0.999)),
    hyperparameters={"latent": 64, "hidden": 256, "leak": 0.2},
    log=LogSchedule(every=300, first=300),
    source="written from document 001",
    networks={
        "generator": NetworkCard(
            inputs=((64,),),
            output=(784,),
            layers={"0": (256,), "1": (256,), "2": (256,), "3": (256,), "4": (784,), "5": (784,)},
            parameters=64 * 256 + 256 + 256 * 256 + 256 + 256 * 784 + 784,
        ),
        "discriminator": NetworkCard(
            inputs=((784,),),
            output=(1,),
            layers={"0": (256,), "1": (256,), "2": (256,), "3": (256,), "4": (1,), "5": (1,)},
            parameters=784 * 256 + 256 + 256 * 256 + 256 + 256 + 1,
        ),
    },
    # nn.Linear's default: weights and biases uniform in ±1/√(inputs).
    initial_weights=tuple(
        InitialWeights(network, f"{layer}.*", "uniform", -(inputs**-0.5), inputs**-0.5)
        for network, widths in {"generator": (64, 256, 256), "discriminator": (784, 256, 256)}.items()
        for layer, inputs in zip((0, 2, 4), widths, strict=True)
    ),
    log_lines=(
        _log(0, 300, 0.1963, 5.4862, 0.98, 0.12),
        _log(0, 600, 0.2590, 2.3454, 0.90, 0.13),
        _log(1, 300, 0.2631, 3.4495, 0.90, 0.12),
        _log(1, 600, 1.0826, 1.7508, 0.64, 0.36),
        _log(198, 600, 0.8926, 1.9239, 0.70, 0.25),
        _log(199, 300, 0.7877, 1.8884, 0.72, 0.26),
        _log(199, 600, 0.7669, 1.7857, 0.70, 0.22),
    ),
    claims=(
        *(Claim(
            identifier=identifier,
            place="001, printed log, epochs 198 and 199",
            statement=f"{quantity} has settled by the end of training",
            documented=documented,
            metric="last_epoch_mean",
            where={"quantity": logged},
            condition=between(low, high),
            epochs=100,
            needs_data=True,
        ) for identifier, quantity, documented, logged, low, high in (
            ("d-loss", "the discriminator's loss", "0.77 to 0.89", "loss_discriminator", 0.6, 1.0),
            ("g-loss", "the generator's loss", "1.79 to 1.92", "loss_generator", 1.35, 2.25),
            ("d-real", "D(x)", "0.70 to 0.72", "D(x)", 0.6, 0.8),
            ("d-fake", "D(G(z))", "0.22 to 0.26", "D(G(z))", 0.19, 0.31),
        )),
        Claim(
            identifier="steps",
            place="001, printed log",
            statement="an epoch has 600 steps",
            documented="600",
            metric="steps_per_epoch",
            condition=exactly(600),
            needs_data=True,
        ),
    ),
    deviations=(
        Deviation(1, "repair", "The print normalises one-channel images with three-channel statistics, which current "
                  "torchvision refuses; one channel with mean 0.5 and deviation 0.5 is used."),
        Deviation(2, "repair", "Labels of shape (B,) meet outputs of shape (B, 1) in the loss, which current PyTorch "
                  "refuses; the labels are (B, 1)."),
        Deviation(3, "harness", "The discriminator's loss isn't detached from the generator, as printed; the generator "
                  "gradients that this would add are cleared before use, so they are not computed. Same bits."),
        Deviation(4, "harness", "The print fixes no seed; the default here is 0."),
        Deviation(5, "harness", "Sample grids come from latents fixed for the run; the print shows the last training "
                  "batch of each epoch."),
        Deviation(6, "harness", "The claims about the last log lines are decided by means over the last epoch, from "
                  "epoch 100 on, with a band of ±25 % (±15 % for D(x)) around the printed values: the print shows "
                  "single batches of a single run."),
    ),
)

