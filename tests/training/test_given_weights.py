from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from harness.evaluation.evaluate import evaluate
from harness.evaluation.options import EvaluateOptions
from harness.files.tensors import write_tensors
from harness.latents.options import SampleOptions
from harness.latents.sample import sample_run
from harness.training.given_weights import fits_line, load_weights, read_weights, without_weights
from reference import get

MLP = "mlp-gan-mnist"


def networks(spec: str = MLP, seed: int = 3) -> dict[str, nn.Module]:
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        return get(spec).networks()


def state(seed: int = 3) -> dict[str, Tensor]:
    return networks(seed=seed)["generator"].state_dict()


def same(one: nn.Module, other: dict[str, Tensor]) -> bool:
    return all(torch.equal(value, other[name]) for name, value in one.state_dict().items())


@pytest.mark.parametrize(
    ("spec", "plain", "file"),
    [
        ("mlp-gan-mnist@weights=a/b.pth", "mlp-gan-mnist", "a/b.pth"),
        ("idl-wgan-gp-grid@critic_updates=5,weights=x.pth", "idl-wgan-gp-grid@critic_updates=5", "x.pth"),
        ("idl-wgan-gp-grid@critic_updates=5", "idl-wgan-gp-grid@critic_updates=5", None),
        ("style-transfer@weights=vgg.pth", "style-transfer@weights=vgg.pth", None),
        ("unheard-of@weights=x.pth", "unheard-of", "x.pth"),
    ],
)
def test_the_file_is_told_from_the_other_options(spec: str, plain: str, file: str | None) -> None:
    assert without_weights(spec) == (plain, None if file is None else Path(file))


@pytest.mark.parametrize(
    ("wrapped", "said"),
    [
        (lambda s: s, "generator from the file"),
        (lambda s: {"epoch": 3, "state_dict": s}, "generator from state_dict"),
        (lambda s: {"models": {"netG": s, "step": torch.tensor(1)}}, "generator from models.netG"),
        (lambda s: {f"module.{k}": v for k, v in s.items()}, "generator from the file (names without module.)"),
        (lambda s: {"G": {f"module._orig_mod.{k}": v for k, v in s.items()}}, "G (names without module., _orig_mod.)"),
        (lambda s: {**{f"generator.{k}": v for k, v in s.items()}, "critic.0.bias": torch.zeros(3)}, "from generator"),
    ],
)
def test_they_are_found_wherever_they_lie(wrapped: Any, said: str, tmp_path: Path) -> None:
    given, mine = state(), networks(seed=4)
    torch.save(wrapped(given), tmp_path / "w.pth")
    assert not same(mine["generator"], given)
    told = load_weights(mine, read_weights(tmp_path / "w.pth"), MLP)
    assert same(mine["generator"], given)
    assert said in told


def test_safetensors_are_read_too(tmp_path: Path) -> None:
    given, mine = state(), networks(seed=4)
    write_tensors(tmp_path / "w.safetensors", given)
    load_weights(mine, read_weights(tmp_path / "w.safetensors"), MLP)
    assert same(mine["generator"], given)


def test_of_two_that_fit_the_one_of_that_name_is_taken(tmp_path: Path) -> None:
    own, average = state(5), state(6)
    torch.save({"average": average, "generator": own}, tmp_path / "w.pth")
    mine = {"generator": networks()["generator"], "average": networks()["generator"]}
    load_weights(mine, read_weights(tmp_path / "w.pth"), "mine")
    assert same(mine["generator"], own)
    assert same(mine["average"], average)


def test_batch_normalisation_of_an_old_pytorch_lacks_its_count(tmp_path: Path) -> None:
    given = networks("handson-dcgan-mnist")["generator"].state_dict()
    torch.save({k: v for k, v in given.items() if "num_batches" not in k}, tmp_path / "w.pth")
    told = load_weights(networks("handson-dcgan-mnist", 9), read_weights(tmp_path / "w.pth"), "it")
    assert "without " in told
    assert "num_batches_tracked" in told


def test_what_does_not_fit_is_listed_and_whom_it_fits(tmp_path: Path) -> None:
    given = dict(state())
    given["0.bias"] = torch.zeros(7)
    given["extra"] = given.pop("2.weight")
    torch.save(given, tmp_path / "w.pth")
    with pytest.raises(ValueError, match="doesn't fit the generator of mlp-gan-mnist") as error:
        load_weights(networks(), read_weights(tmp_path / "w.pth"), MLP)
    said = str(error.value)
    assert "missing 2.weight" in said
    assert "unexpected extra" in said
    assert "0.bias is (7,), not (" in said
    assert "fits no reference here: write a function" in said
    assert "\n" not in said


def test_a_discriminator_is_no_generator_and_is_known(tmp_path: Path) -> None:
    torch.save(networks()["discriminator"].state_dict(), tmp_path / "d.pth")
    given = read_weights(tmp_path / "d.pth")
    assert f"it fits {MLP}'s discriminator: name it as '{MLP}@weights=" in fits_line(given)
    with pytest.raises(ValueError, match="it fits mlp-gan-mnist's discriminator"):
        load_weights(networks(), given, MLP)


class Loud:
    """An object that would do something when it is unpickled."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return print, ("executed",)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "aren't a file"),
        (b"hello", "are no state_dict as PyTorch saves it"),
        (b"", "are no state_dict"),
        ({"epoch": 3}, "hold no named tensors"),
        (torch.zeros(3), "hold no named tensors"),
        (Loud(), "would have to be executed"),
    ],
)
def test_what_is_no_state_dict(content: Any, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "w.pth"
    if isinstance(content, bytes):
        file.write_bytes(content)
    elif content is not None:
        torch.save(content, file)
    with pytest.raises(ValueError, match=said):
        read_weights(file)
    assert "executed" not in capsys.readouterr().out, "nothing in it was"


def test_they_are_evaluated_and_sampled_by_one_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The layout of document 003's generator, as its training saves it."""
    monkeypatch.chdir(tmp_path)
    spec = "pytorch-dcgan-celeba"
    torch.save({"netG": networks(spec)["generator"].state_dict()}, tmp_path / "netG.pth")
    found = evaluate(EvaluateOptions(f"{spec}@weights=netG.pth", count=80))
    folder = tmp_path / "runs" / "evaluated" / "pytorch-dcgan-celeba-netG"
    assert found.records == folder.relative_to(tmp_path) / "records.jsonl"
    assert "generator from netG" in found.note
    assert "an activation and its slope" in found.note
    assert (folder / "samples-pytorch-dcgan-celeba_netG.pth.png").stat().st_size > 1000
    assert (folder / "figures.csv").read_text().startswith("reference,seed,n,data,metric,value,unit,better\n")
    record = (folder / "records.jsonl").read_text().splitlines()[0]
    assert '"weights of": "netG.pth: generator from netG"' in record
    assert '"reference": "pytorch-dcgan-celeba, netG.pth"' in record, "no claim of the reference is decided by them"
    assert "with the weights netG.pth" in sample_run(SampleOptions(f"{spec}@weights=netG.pth", count=4))
    with pytest.raises(ValueError, match=r"netG.pth holds weights alone; it fits .*pytorch-dcgan-celeba's generator"):
        evaluate(EvaluateOptions("netG.pth"))
