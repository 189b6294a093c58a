from __future__ import annotations

import importlib.metadata
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest

import reference
from reference import Card
from reference.api import registry
from reference.api.registry import matching
from reference.cards.mlp_gan_mnist import CARD

SEVEN = {
    "mlp-gan-mnist",
    "handson-dcgan-mnist",
    "pytorch-dcgan-celeba",
    "idl-gan-mnist",
    "idl-gan-grid",
    "idl-wgan-gp-grid",
    "idl-wgan-gp-mnist",
}


def test_the_documents_systems_are_there() -> None:
    assert set(reference.names()) >= SEVEN


@pytest.mark.parametrize(
    "spec",
    [
        *sorted(SEVEN),
        "idl-wgan-gp-mnist@corrected",
        "idl-wgan-gp-grid@critic_updates=5",
        "idl-wgan-gp-mnist@corrected,critic_updates=5",
        "pytorch-dcgan-celeba@ngpu=2",
    ],
)
def test_specs_come_back(spec: str) -> None:
    assert reference.spec_of(reference.get(spec)) == spec


def test_options_by_keyword_are_the_same_as_in_the_spec() -> None:
    by_keyword = reference.get("idl-wgan-gp-mnist", corrected=True)
    assert by_keyword == reference.get("idl-wgan-gp-mnist@corrected")
    assert by_keyword != reference.get("idl-wgan-gp-mnist")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("mlp-gan-mnits", "did you mean mlp-gan-mnist"),
        ("nothing like it", "there are: aniketmaurya-dcgan-celeba, handson-dcgan-celeba"),
        ("mlp-gan-mnist@corrected", "no option 'corrected'; its options: none"),
        ("idl-wgan-gp-grid@corrected", "no option 'corrected'; its options: critic_updates"),
        ("idl-wgan-gp-grid@critic_updates=many", "takes int, not 'many'"),
        ("idl-wgan-gp-grid@critic_updates=0", "must be 1 or more, not 0"),
        ("idl-wgan-gp-mnist@corrected=maybe", "takes true or false"),
    ],
)
def test_misses_say_what_there_is(spec: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        reference.get(spec)


def test_a_taken_name_is_refused() -> None:
    @dataclass(frozen=True)
    class Other:
        card: ClassVar[Card] = CARD

    with pytest.raises(ValueError, match=r"'mlp-gan-mnist' is taken by reference\.mlp_gan_mnist\.MlpGanMnist"):
        reference.register(Other)


def test_modules_must_exist_and_register_something() -> None:
    with pytest.raises(ValueError, match=r"'no\.such\.module' can't be imported"):
        reference.load_module("no.such.module")
    with pytest.raises(ValueError, match="'json' registers no reference"):
        reference.load_module("json")


def test_entry_points_join(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "entry_gan.py").write_text(
        "import dataclasses\n"
        "from reference import register\n"
        "from reference.mlp_gan_mnist import CARD, MlpGanMnist\n"
        "@register\n"
        "@dataclasses.dataclass(frozen=True)\n"
        "class EntryGan(MlpGanMnist):\n"
        "    card = dataclasses.replace(CARD, name='entry-gan')\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    point = importlib.metadata.EntryPoint("entry-gan", "entry_gan", registry.ENTRY_POINT_GROUP)
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: [point] if group == point.group else [])
    monkeypatch.setattr(registry, "_loaded", set())
    try:
        assert "entry-gan" in reference.names()
    finally:
        registry._registered.pop("entry-gan", None)
        sys.modules.pop("entry_gan", None)


def test_a_broken_entry_point_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    point = importlib.metadata.EntryPoint("broken", "no_such_module", registry.ENTRY_POINT_GROUP)
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: [point])
    monkeypatch.setattr(registry, "_loaded", set())
    with pytest.raises(ValueError, match="entry point broken = no_such_module fails to load"):
        reference.names()
    monkeypatch.setattr(registry, "_loaded", {"reference"})


def test_patterns_take_specs_with_options_of_their_own() -> None:
    specs = ["a-b", "a-c", "idl-wgan-gp-grid"]
    assert matching(specs, "a-*") == ["a-b", "a-c"]
    asked = "idl-ex6-pix2pix@size=64,width=8, a-c,idl-wgan-gp-grid@critic_updates=5"
    assert matching(specs, asked) == ["a-c", "idl-ex6-pix2pix@size=64,width=8", "idl-wgan-gp-grid@critic_updates=5"]
    assert matching(specs, "idl-wgan-gp-grid@critic_updates=1") == ["idl-wgan-gp-grid"], "the default is no option"
    with pytest.raises(ValueError, match=r"no reference matches 'b-\*'"):
        matching(specs, "b-*")
    with pytest.raises(ValueError, match="has no option 'depth'"):
        matching(specs, "idl-wgan-gp-grid@depth=3")
