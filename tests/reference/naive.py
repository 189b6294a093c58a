"""One documented iteration computed the slow, obvious way: plain `backward`, written-out losses, written-out Adam.

Nothing here is shared with `reference/` or the engine: only the formulas are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

Networks = Mapping[str, nn.Module]


class Adam:
    """Adam (Kingma and Ba 2015) and, with decay, AdamW (Loshchilov and Hutter 2019), for first steps."""

    def __init__(self, network: nn.Module, lr: float, betas: tuple[float, float], decay: float = 0.0) -> None:
        self.parameters = list(network.parameters())
        self.lr, self.betas, self.decay, self.t = lr, betas, decay, 0
        self.m = [torch.zeros_like(p) for p in self.parameters]
        self.v = [torch.zeros_like(p) for p in self.parameters]
        for p in self.parameters:
            p.significant = torch.ones_like(p, dtype=torch.bool)  # type: ignore[attr-defined]

    def step(self) -> None:
        self.t += 1
        one, two = self.betas
        largest = max(float(p.grad.abs().max()) for p in self.parameters if p.grad is not None)
        with torch.no_grad():
            for p, m, v in zip(self.parameters, self.m, self.v, strict=True):
                if p.grad is None:  # a layer that this step doesn't use
                    p.significant &= False  # type: ignore[attr-defined]
                    continue
                # Adam divides by the gradient's size: where that is rounding error, so is the whole update.
                p.significant &= p.grad.abs() > 1e-4 * largest  # type: ignore[attr-defined]
                p.sub_(self.lr * self.decay * p)
                m.mul_(one).add_((1 - one) * p.grad)
                v.mul_(two).add_((1 - two) * p.grad * p.grad)
                corrected_m, corrected_v = m / (1 - one**self.t), v / (1 - two**self.t)
                p.sub_(self.lr * corrected_m / (corrected_v.sqrt() + 1e-8))


def clear(*networks: nn.Module) -> None:
    for network in networks:
        for parameter in network.parameters():
            parameter.grad = None


def log_loss(probability: Tensor, real: bool) -> Tensor:
    chosen = probability if real else 1 - probability
    return -torch.clamp(torch.log(chosen), min=-100).mean()


def mlp(nets: Networks, x: Tensor, normal: Callable[..., Tensor]) -> dict[str, float]:
    g, d = nets["generator"], nets["discriminator"]
    adam_d, adam_g = (Adam(n, 3e-4, (0.9, 0.999)) for n in (d, g))
    d_loss = log_loss(d(x), True) + log_loss(d(g(normal(len(x), 64))), False)
    clear(d)
    d_loss.backward()
    adam_d.step()
    g_loss = log_loss(d(g(normal(len(x), 64))), True)
    clear(d, g)
    g_loss.backward()
    adam_g.step()
    return {"loss_discriminator": d_loss.item(), "loss_generator": g_loss.item()}


def dcgan(nets: Networks, x: Tensor, normal: Callable[..., Tensor]) -> dict[str, float]:
    g, d = nets["generator"], nets["discriminator"]
    adam_d, adam_g = (Adam(n, 2e-4, (0.5, 0.999)) for n in (d, g))
    clear(d)
    on_real = log_loss(d(x).reshape(-1), True)
    on_real.backward()
    fake = g(normal(len(x), 100, 1, 1))
    on_fake = log_loss(d(fake.detach()).reshape(-1), False)
    on_fake.backward()
    adam_d.step()
    clear(g)
    g_loss = log_loss(d(fake).reshape(-1), True)
    g_loss.backward()
    adam_g.step()
    return {
        "loss_discriminator_real": on_real.item(),
        "loss_discriminator_fake": on_fake.item(),
        "loss_discriminator": on_real.item() + on_fake.item(),
        "loss_generator": g_loss.item(),
    }


def gan(nets: Networks, x: Tensor, normal: Callable[..., Tensor], latent: int) -> dict[str, float]:
    g, d = nets["generator"], nets["discriminator"]
    adam_d, adam_g = (Adam(n, 1e-4, (0.0, 0.9), decay=0.01) for n in (d, g))
    clear(d)
    on_real = -nn.functional.logsigmoid(d(x)).mean()
    on_real.backward()
    fake = g(normal(len(x), latent))
    on_fake = -nn.functional.logsigmoid(-d(fake.detach())).mean()
    on_fake.backward()
    adam_d.step()
    clear(g)
    g_loss = -nn.functional.logsigmoid(d(fake)).mean()
    g_loss.backward()
    adam_g.step()
    return {"loss_discriminator": on_real.item() + on_fake.item(), "loss_generator": g_loss.item()}


def wgan_gp(
    nets: Networks,
    x: Tensor,
    draw: Callable[[], tuple[Tensor, ...]],
    uniform: Callable[..., Tensor],
    whole: bool,
    critic_updates: int = 1,
    given: tuple[Tensor, ...] = (),
) -> dict[str, float]:
    g, c = nets["generator"], nets["critic"]
    adam_c, adam_g = (Adam(n, 1e-4, (0.0, 0.9), decay=0.01) for n in (c, g))
    for _ in range(critic_updates):
        clear(g, c)
        fake = g(*draw())
        epsilon = uniform(len(x), *[1] * (x.dim() - 1))
        mixed = epsilon * x + (1 - epsilon) * fake
        (slope,) = torch.autograd.grad(c(mixed, *given).sum(), mixed, create_graph=True)
        norm = slope.flatten(1).square().sum(1).sqrt() if whole else slope.square().sum(1).sqrt()
        c_loss = c(fake, *given).mean() - c(x, *given).mean() + 10 * (norm - 1).square().mean()
        c_loss.backward()
        adam_c.step()
    clear(g, c)
    g_loss = -c(g(*draw()), *given).mean()
    g_loss.backward()
    adam_g.step()
    return {"loss_critic": c_loss.item(), "loss_generator": g_loss.item()}


def encoder(nets: Networks, z: Tensor) -> dict[str, float]:
    e = nets["encoder"]
    adam = Adam(e, 1e-4, (0.0, 0.9), decay=0.01)
    clear(e)
    with torch.no_grad():
        images = nets["generator"](z)
    loss = (e(images) - z).square().sum(1).sqrt().mean()
    loss.backward()
    adam.step()
    return {"loss_encoder": loss.item()}


def logit_dcgan(nets: Networks, x: Tensor, normal: Callable[..., Tensor]) -> dict[str, float]:
    g, d = nets["generator"], nets["discriminator"]
    adam_d, adam_g = (Adam(n, 2e-4, (0.5, 0.999)) for n in (d, g))
    clear(d)
    fake = g(normal(len(x), 100, 1, 1)).detach()
    d_loss = 0.5 * (-nn.functional.logsigmoid(-d(fake)).mean() - nn.functional.logsigmoid(d(x)).mean())
    d_loss.backward()
    adam_d.step()
    clear(g, d)
    g_loss = -nn.functional.logsigmoid(d(g(normal(len(x), 100, 1, 1)))).mean()
    g_loss.backward()
    adam_g.step()
    return {"loss_discriminator": d_loss.item(), "loss_generator": g_loss.item()}


def progressive(
    nets: Networks, x: Tensor, normal: Callable[..., Tensor], uniform: Callable[..., Tensor], depth: int, old: float
) -> dict[str, float]:
    g, c = nets["generator"], nets["critic"]
    adam_c, adam_g = (Adam(n, 1e-3, (0.0, 0.99)) for n in (c, g))
    small = x.unflatten(-1, (-1, 2)).unflatten(-3, (-1, 2)).mean((-1, -3))
    x = old * small.repeat_interleave(2, -1).repeat_interleave(2, -2) + (1 - old) * x
    clear(g, c)
    on_real = c(x, depth, old)
    fake = g(normal(len(x), 512), depth, old).detach()
    epsilon = uniform(len(x), 1, 1, 1)
    mixed = (epsilon * x + (1 - epsilon) * fake).requires_grad_()
    on_fake = c(fake, depth, old)
    (slope,) = torch.autograd.grad(c(mixed, depth, old).sum(), mixed, create_graph=True)
    penalty = (slope.flatten(1).square().sum(1).sqrt() - 1).square().mean()
    c_loss = on_fake.mean() - on_real.mean() + 10 * penalty + 0.001 * on_real.square().mean()
    c_loss.backward()
    adam_c.step()
    clear(g, c)
    g_loss = -c(g(normal(len(x), 512), depth, old), depth, old).mean()
    g_loss.backward()
    adam_g.step()
    return {"loss_critic": c_loss.item(), "loss_generator": g_loss.item()}


def pix2pix(nets: Networks, x: Tensor, condition: Tensor) -> dict[str, float]:
    g, d = nets["generator"], nets["discriminator"]
    adam_d, adam_g = (Adam(n, 2e-4, (0.5, 0.999)) for n in (d, g))
    clear(g, d)
    fake = g(condition)
    on_fake = -nn.functional.logsigmoid(-d(condition, fake.detach())).mean()
    on_real = -nn.functional.logsigmoid(d(condition, x)).mean()
    d_loss = 0.5 * (on_fake + on_real)
    d_loss.backward()
    adam_d.step()
    clear(d)
    adversarial = -nn.functional.logsigmoid(d(condition, fake)).mean()
    l1 = (fake - x).abs().mean()
    (adversarial + 100 * l1).backward()
    adam_g.step()
    return {"loss_discriminator": d_loss.item(), "loss_adversarial": adversarial.item(), "loss_l1": l1.item()}


def style(nets: Networks, content: Tensor, pattern: Tensor) -> dict[str, float]:
    p, layers = nets["picture"], nets["features"].layers
    adam = Adam(p, 0.02, (0.9, 0.999))
    mean, deviation = (torch.tensor(v).view(3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))

    def activations(picture: Tensor) -> list[Tensor]:
        outputs = [(picture - mean) / deviation]
        for layer in layers:  # type: ignore[union-attr]
            outputs.append(layer(outputs[-1]))
        return outputs[1:]

    mine, theirs, strokes = (activations(picture) for picture in (p(), content, pattern))
    content_loss = 0.5 * (mine[22] - theirs[22]).square().sum()
    style_loss = torch.zeros(())
    for index in (1, 6, 11, 20, 29):
        channels, places = mine[index].shape[1], mine[index][0, 0].numel()
        a, b = (one[index].reshape(channels, places) for one in (mine, strokes))
        difference = a @ a.T - b @ b.T
        style_loss = style_loss + difference.square().sum() / (4 * channels**2 * places**2) / 5
    loss = content_loss + 1000 * style_loss
    clear(p)
    loss.backward()
    adam.step()
    return {"loss": loss.item(), "loss_content": content_loss.item(), "loss_style": style_loss.item()}
