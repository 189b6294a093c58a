"""What section 9.4 of document 004 says of its convolutional networks: layers, sizes, initial values."""

from __future__ import annotations

from collections.abc import Iterable

from reference.api.card import InitialWeights, NetworkCard, Shape

# (name, inputs, outputs, kernel, side) of every convolution with activation and LayerNorm, as the listings have them.
_GENERATOR_BLOCKS = (
    (1, 16, 32, 5, 7), (2, 32, 32, 5, 7), (3, 32, 32, 5, 7), (4, 32, 16, 4, 14), (5, 16, 16, 5, 14),
    (6, 16, 16, 5, 14), (7, 16, 8, 4, 28), (8, 8, 8, 5, 28), (9, 8, 8, 5, 28),
)


_CRITIC_BLOCKS = (
    (0, 1, 32, 5, 28), (1, 32, 32, 5, 28), (3, 32, 32, 5, 14), (4, 32, 32, 5, 14), (6, 32, 32, 3, 7), (7, 32, 32, 3, 7),
)



def block_layers(name: str, outputs: int, side: int) -> dict[str, Shape]:
    """The three layers of one block."""
    return {f"{name}.{part}": (outputs, side, side) for part in range(3)}



def block_parameters(inputs: int, outputs: int, kernel: int, side: int) -> int:
    """A convolution with biases, and LayerNorm's two values per place."""
    return (inputs * kernel**2 + 1) * outputs + 2 * outputs * side**2



def generator_card(
    inputs: tuple[Shape, ...] = ((784,),), *, prefix: str = "", shift: int = 0, classes: int = 0
) -> NetworkCard:
    """What the listing says of `convolutional_generator` without its stem, whose `shift` modules come before."""
    layers: dict[str, Shape] = {f"{prefix}{shift}": (16, 7, 7)}
    for index, _, outputs, _, side in _GENERATOR_BLOCKS:
        layers |= block_layers(f"{prefix}{shift + index}", outputs, side)
    layers |= {f"{prefix}{shift + 10}": (1, 28, 28), f"{prefix}{shift + 11}": (1, 28, 28)}
    parameters = sum(block_parameters(*block[1:]) for block in _GENERATOR_BLOCKS) + 8 * 25 + 1
    return NetworkCard(inputs, (1, 28, 28), layers, parameters, classes=classes)



def critic_card(*, prefix: str = "", classes: int = 0) -> NetworkCard:
    """What the listing says of `convolutional_critic`."""
    layers: dict[str, Shape] = {}
    for index, _, outputs, _, side in _CRITIC_BLOCKS:
        layers |= block_layers(f"{prefix}{index}", outputs, side)
    layers |= {
        f"{prefix}2": (32, 14, 14), f"{prefix}5": (32, 7, 7), f"{prefix}8": (32, 4, 4), f"{prefix}9": (512,),
        f"{prefix}10": (256,), f"{prefix}11": (256,), f"{prefix}12": (1,),
    }
    parameters = sum(block_parameters(*block[1:]) for block in _CRITIC_BLOCKS) + 513 * 256 + 257
    return NetworkCard(((1, 28, 28),), (1,), layers, parameters, classes=classes)



def default_weights(role: str, layers: Iterable[tuple[str, int]], norms: Iterable[str]) -> tuple[InitialWeights, ...]:
    """PyTorch's defaults: weights and biases of (layer, fan-in) uniform in ±1/√fan-in; LayerNorm 1 and 0."""
    return (
        *(InitialWeights(role, f"{name}.*", "uniform", -(fan**-0.5), fan**-0.5) for name, fan in layers),
        *(InitialWeights(role, f"{name}.weight", "constant", 1.0) for name in norms),
        *(InitialWeights(role, f"{name}.bias", "constant", 0.0) for name in norms),
    )



def generator_weights(*, prefix: str = "", shift: int = 0) -> tuple[InitialWeights, ...]:
    """How the listing's generator draws its weights; a transposed convolution's fan-in counts its outputs."""
    fans = [
        (f"{prefix}{shift + index}.0", (outputs if kernel == 4 else inputs) * kernel**2)
        for index, inputs, outputs, kernel, _ in _GENERATOR_BLOCKS
    ]
    norms = [f"{prefix}{shift + block[0]}.2" for block in _GENERATOR_BLOCKS]
    return default_weights("generator", [*fans, (f"{prefix}{shift + 10}", 200)], norms)



def critic_weights(*, prefix: str = "") -> tuple[InitialWeights, ...]:
    """How the listing's discriminator draws its weights."""
    fans = [(f"{prefix}{index}.0", inputs * kernel**2) for index, inputs, _, kernel, _ in _CRITIC_BLOCKS]
    norms = [f"{prefix}{block[0]}.2" for block in _CRITIC_BLOCKS]
    return default_weights("critic", [*fans, (f"{prefix}10", 512), (f"{prefix}12", 256)], norms)

