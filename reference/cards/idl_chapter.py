"""What document 004 says of its fully connected networks: layers, sizes, initial values."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

from reference.api.card import InitialWeights, NetworkCard, Shape


def generator_card(latent: int, shape: Shape, *, sigmoid: bool) -> NetworkCard:
    """What the listing says of `fully_connected_generator`."""
    pixels = prod(shape)
    prefix = "0." if sigmoid else ""
    layers: dict[str, Shape] = {f"{prefix}{block}.{part}": (512,) for block in range(3) for part in range(3)}
    layers |= {f"{prefix}3": (pixels,), f"{prefix}4": shape}
    if sigmoid:
        layers["1"] = shape
    parameters = (latent + 1) * 512 + 2 * (512 + 1) * 512 + 3 * 2 * 512 + (512 + 1) * pixels
    return NetworkCard(((latent,),), shape, layers, parameters)



def discriminator_card(shape: Shape) -> NetworkCard:
    """What the listing says of `fully_connected_discriminator`."""
    pixels = prod(shape)
    layers: dict[str, Shape] = {"0": (pixels,)}
    layers |= {f"{block}.{part}": (512,) for block in (1, 2, 3) for part in range(3)}
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

