"""The progressive GAN: its schedule, its fading in, and the hub's checkpoint file, which must never run code."""

from __future__ import annotations

import pickle
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import reference
from reference.blocks.pgan_hub_checkpoint import read_hub_checkpoint
from reference.idl_pgan_celebahq512 import Critic, Generator, IdlPganCelebahq512, Schedule, at_depth

WIDTHS = (16, 16, 8)


def test_the_hubs_schedule() -> None:
    schedule = Schedule(depths=8, phase_steps=96_000)

    def at(step: int) -> Any:
        schedule.done = step
        return schedule.phase()

    assert at(0) == at(47_999) == (0, 0.0)
    assert at(48_000) == (1, 1.0), "a new depth begins as the enlarged old one"
    assert at(48_031) == (1, 1.0), "and changes in jumps of 32 steps"
    assert at(48_032) == (1, pytest.approx(1 - 1 / 600))
    assert at(48_000 + 9_600) == (1, pytest.approx(0.5))
    assert at(48_000 + 19_200) == (1, 0.0)
    assert at(48_000 + 96_000) == (2, 1.0)
    first_large = 48_000 + 5 * 96_000
    assert at(first_large) == (6, 1.0)
    assert at(first_large + 19_200) == (6, pytest.approx(0.5)), "256 and 512 fade in for twice as long"
    schedule.finish()
    assert schedule.phase() == (7, 0.0)
    assert schedule.done == 720_000
    schedule.advance()
    assert schedule.phase() == (7, 0.0)


def test_the_schedule_is_saved_with_the_networks() -> None:
    one, two = Schedule(3, 10), Schedule(3, 10)
    for _ in range(17):
        one.advance()
    two.load_state_dict(one.state_dict())
    assert two.phase() == one.phase() != Schedule(3, 10).phase()


def test_a_new_depth_starts_as_the_enlarged_old_picture() -> None:
    torch.manual_seed(0)
    generator, critic = Generator(WIDTHS), Critic(WIDTHS)
    z = torch.randn(4, 512)
    small, faded, grown = generator(z, 1), generator(z, 2, 1.0), generator(z, 2)
    assert torch.equal(faded, small.repeat_interleave(2, 2).repeat_interleave(2, 3))
    assert torch.allclose(generator(z, 2, 0.25), 0.25 * faded + 0.75 * grown, atol=1e-6)
    assert torch.allclose(critic(faded, 2, 1.0), critic(small, 1), atol=1e-5)
    assert generator(z).shape == (4, 3, 16, 16), "without a depth, the last"


def test_real_pictures_are_averaged_and_faded_alike() -> None:
    images = torch.rand(2, 3, 16, 16)
    assert torch.equal(at_depth(images, 2, 0.0), images)
    assert torch.allclose(at_depth(images, 0, 0.0), images.unflatten(-1, (4, 4)).unflatten(2, (4, 4)).mean((3, 5)))
    half = at_depth(images, 2, 1.0)
    assert torch.equal(half[..., ::2, ::2], half[..., 1::2, 1::2])


def test_a_picture_of_another_depth_is_refused() -> None:
    with pytest.raises(ValueError, match=r"expects images of shape \(N, 3, 8, 8\) at depth 1, not \(2, 3, 16, 16\)"):
        Critic(WIDTHS)(torch.zeros(2, 3, 16, 16), 1)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("resolution=100", "resolution must be one of 4, 8, 16, 32, 64, 128, 256, 512, not 100"),
        ("width=8", "width must be from 16 to 512, not 8"),
        ("phase_steps=0", "phase_steps must be 1 or more, not 0"),
        ("resolution=16,checkpoint=/x.pth", "leave both as they are"),
    ],
)
def test_options_that_cannot_be_are_named(spec: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        reference.get(f"idl-pgan-celebahq512@{spec}")


def test_a_smaller_system_claims_nothing_of_the_document() -> None:
    assert reference.get("idl-pgan-celebahq512").card.claims
    assert not reference.get("idl-pgan-celebahq512@resolution=16,width=32").card.claims


# --- the hub's file -------------------------------------------------------------------------------------------------


class HubNetworks:
    """The two small networks that stand for the file's, and tensors in its layout with other values."""

    def __init__(self) -> None:
        torch.manual_seed(1)
        self.generator, self.critic = Generator(WIDTHS), Critic(WIDTHS)
        source = Generator(WIDTHS), Critic(WIDTHS), Generator(WIDTHS)
        names = ("netG", "netD", "avgG")
        self.content: dict[str, Any] = {n: dict(net.state_dict()) for n, net in zip(names, source, strict=True)}


@pytest.fixture
def hub() -> HubNetworks:
    return HubNetworks()


@pytest.fixture
def configured(monkeypatch: pytest.MonkeyPatch) -> Any:
    """An object of the hub's own configuration class, whose module is there while it is written and gone afterwards."""
    module = types.ModuleType("models.utils.config")

    class BaseConfig:
        pass

    BaseConfig.__module__, BaseConfig.__qualname__ = "models.utils.config", "BaseConfig"
    module.BaseConfig = BaseConfig  # type: ignore[attr-defined]
    for name in ("models", "models.utils"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, "models.utils.config", module)
    config = BaseConfig()
    config.__dict__.update(
        depthScale0=16, depthOtherScales=[16, 8], alpha=0, miniBatchStdDev=True, attribKeysOrder=None
    )
    return config


def write(path: Path, content: Any, *, legacy: bool = False) -> str:
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    for name in ("models.utils.config", "models.utils", "models"):
        sys.modules.pop(name, None)
    return str(path)


@pytest.mark.parametrize("legacy", [True, False], ids=["as in 2018", "as now"])
def test_the_hubs_layout_loads(hub: HubNetworks, configured: Any, tmp_path: Path, legacy: bool) -> None:
    path = write(tmp_path / "hub.pth", {"config": configured, **hub.content}, legacy=legacy)
    read_hub_checkpoint(path, hub.generator, hub.critic)
    assert "models.utils.config" not in sys.modules
    for network, part in ((hub.generator, "netG"), (hub.critic, "netD")):
        assert all(torch.equal(value, hub.content[part][name]) for name, value in network.state_dict().items())


def test_names_without_the_inner_module_load_too(hub: HubNetworks, tmp_path: Path) -> None:
    bare = {part: {n.replace(".module", ""): t for n, t in hub.content[part].items()} for part in ("netG", "netD")}
    read_hub_checkpoint(write(tmp_path / "hub.pth", bare), hub.generator, hub.critic)
    assert torch.equal(hub.generator.formatLayer.module.weight, hub.content["netG"]["formatLayer.module.weight"])


class Bomb:
    """A pickle of it calls a function of one's choosing when it is read."""

    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return Path.touch, (self.witness,)


@pytest.mark.parametrize("legacy", [True, False])
@pytest.mark.parametrize("place", ["config", "beside"])
def test_code_in_the_file_is_refused_and_never_run(hub: HubNetworks, tmp_path: Path, legacy: bool, place: str) -> None:
    witness = tmp_path / "it ran"
    path = write(tmp_path / "hub.pth", {**hub.content, place: Bomb(witness)}, legacy=legacy)
    with pytest.raises(ValueError, match=r"hub\.pth is refused, nothing in it was run: it holds code or a foreign"):
        read_hub_checkpoint(path, hub.generator, hub.critic)
    assert not witness.exists()
    pickle.loads(pickle.dumps(Bomb(witness)))
    assert witness.exists(), "the bomb is a live one"


def damaged(content: dict[str, Any], part: str, change: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    changed = {**content, part: dict(content[part])}
    change(changed[part])
    return changed


@pytest.mark.parametrize(
    ("part", "change", "message"),
    [
        ("netG", lambda t: t.pop("formatLayer.module.bias"), r"netG doesn't fit: misses formatLayer\.module\.bias"),
        ("netD", lambda t: t.update(extra=torch.ones(2)), "netD doesn't fit: has extra, which the network hasn't"),
        (
            "avgG",
            lambda t: t.update({"groupScale0.0.module.bias": torch.ones(3)}),
            r"avgG doesn't fit: groupScale0\.0\.module\.bias has the shape \(3,\), not \(16,\)",
        ),
        ("netG", lambda t: t.update({"groupScale0.0.module.bias": 4}), "is a int, not a tensor"),
        ("netG", lambda t: t.clear(), "and [0-9]+ more"),
        ("netD", lambda t: t.update({"decisionLayer.module.bias": torch.tensor([float("nan")])}), "aren't finite"),
        ("netD", lambda t: t.update({"decisionLayer.module.bias": torch.tensor([1])}), "aren't finite"),
        ("netD", lambda t: t.update({"decisionLayer.bias": torch.ones(1)}), "a tensor twice"),
        ("netD", lambda t: t.update({7: torch.ones(1)}), "has 7, which the network hasn't"),
    ],
)
def test_tensors_that_do_not_fit_are_named(
    hub: HubNetworks, tmp_path: Path, part: str, change: Callable[[dict[Any, Tensor]], Any], message: str
) -> None:
    path = write(tmp_path / "hub.pth", damaged(hub.content, part, change))
    before = [p.clone() for p in hub.generator.parameters()]
    with pytest.raises(ValueError, match=message) as caught:
        read_hub_checkpoint(path, hub.generator, hub.critic)
    assert "\n" not in str(caught.value)
    assert all(torch.equal(p, q) for p, q in zip(hub.generator.parameters(), before, strict=True))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "can't be read as a checkpoint|isn't a checkpoint"),
        (b"<html>not found</html>", "refused|can't be read"),
        (pickle.dumps([1, 2]), "refused|can't be read|holds a list"),
    ],
)
def test_what_is_no_checkpoint_is_named(hub: HubNetworks, tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "hub.pth").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_hub_checkpoint(str(tmp_path / "hub.pth"), hub.generator, hub.critic)
    with pytest.raises(ValueError, match="isn't a file"):
        read_hub_checkpoint(str(tmp_path / "gone.pth"), hub.generator, hub.critic)


def test_a_checkpoint_of_something_else_is_named(hub: HubNetworks, tmp_path: Path) -> None:
    path = write(tmp_path / "hub.pth", {"netG": hub.content["netG"]})
    with pytest.raises(ValueError, match="isn't a checkpoint of the hub's PGAN: it has no netD"):
        read_hub_checkpoint(path, hub.generator, hub.critic)
    path = write(tmp_path / "none.pth", {**hub.content, "avgG": None})
    with pytest.raises(ValueError, match="it has no avgG"):
        read_hub_checkpoint(path, hub.generator, hub.critic)
    path = write(tmp_path / "list.pth", [torch.ones(2)])
    with pytest.raises(ValueError, match="it holds a list"):
        read_hub_checkpoint(path, hub.generator, hub.critic)


@pytest.mark.slow
def test_the_full_model_starts_from_the_file_fully_grown(tmp_path: Path) -> None:
    whole = reference.get("idl-pgan-celebahq512")
    torch.manual_seed(0)
    networks = whole.networks()
    content = {"netG": networks["generator"].state_dict(), "netD": networks["critic"].state_dict()}
    path = write(tmp_path / "hub.pth", content)
    torch.manual_seed(1)
    loaded = reference.get("idl-pgan-celebahq512", checkpoint=path)
    assert isinstance(loaded, IdlPganCelebahq512)
    found: dict[str, nn.Module] = loaded.networks()
    assert found["schedule"].phase() == (7, 0.0)  # type: ignore[operator]
    assert all(
        torch.equal(a, b)
        for a, b in zip(found["generator"].parameters(), networks["generator"].parameters(), strict=True)
    )
