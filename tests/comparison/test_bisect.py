"""The commit that changes bits is found by asking few of them; several are told apart by trainings."""

from __future__ import annotations

from itertools import accumulate, pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.comparison.bisect import changes, commits_between, levels_of
from tests.comparison.test_compare import called
from tests.comparison.test_points import fid
from tests.comparison.test_revisions import commit, own_repository


@given(st.lists(st.booleans(), min_size=1, max_size=200))
def test_every_change_is_found_and_nothing_else(changed: list[bool]) -> None:
    """Each change makes what was never there before."""
    keys = [str(key) for key in accumulate(map(int, changed), initial=0)]
    asked = set()

    def key(place: int) -> str:
        asked.add(place)
        return keys[place]

    found = changes(key, 0, len(keys) - 1)
    assert found == [place for place, (one, other) in enumerate(pairwise(keys), 1) if one != other]
    if len(found) == 1:
        assert len(asked) <= 2 + 2 * len(keys).bit_length()


def test_what_was_put_back_between_equal_ends_isnt_looked_for() -> None:
    keys = ["a", "b", "a"]
    assert changes(keys.__getitem__, 0, 2) == []
    assert changes(["a", "b", "a", "c"].__getitem__, 0, 3) == [1, 2, 3], "but what is asked on the way is told"


def test_trainings_tell_which_change_is_a_step() -> None:
    """Three codes; only the second change made it worse."""
    trained = [[fid(level + 0.01 * seed, seed) for seed in range(5)] for level in (10.0, 10.003, 14.0)]
    (level,) = levels_of(trained, [3, 8])
    assert (level.series, level.steps) == ("fid", (8,))
    (level,) = levels_of([side[:2] for side in trained], [3, 8])
    assert level.steps == (), "two seeds can't tell"
    assert levels_of([trained[0], []], [3]) == []


def test_commits_lie_between_the_good_one_and_the_bad_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own_repository(tmp_path / "mine")
    for number in range(3):
        commit(tmp_path / "mine", f"{number}", ('"""', f'"""{number} '))
    monkeypatch.chdir(tmp_path / "mine")
    assert len(commits_between("HEAD~3", "HEAD")) == 4
    with pytest.raises(ValueError, match="HEAD~1 doesn't come after HEAD: name the good revision first"):
        commits_between("HEAD", "HEAD~1")
    with pytest.raises(ValueError, match="'nothing' can't be compared"):
        commits_between("nothing", "HEAD")


@pytest.mark.slow
def test_the_commit_that_changed_bits_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "mine"
    own_repository(mine)
    small = "LATENT, HIDDEN = 16, 128"
    commit(mine, "a comment", (small, f"{small}  # small"))
    commit(mine, "another beta", ("betas=(0.5, 0.999)", "betas=(0.9, 0.999)"))
    commit(mine, "refactored", ("lr=1e-3", "lr=0.1**3 if False else 1e-3"))
    commit(mine, "a second comment", (f"{small}  # small", f"{small}  # very small"))
    monkeypatch.chdir(mine)
    asked = ("--reference", "my-lsgan-grid", "--reference-module", "my_gan", "--device", "cpu")
    capsys.readouterr()
    assert called(monkeypatch, "bisect", "HEAD~4", "HEAD", *asked) == 0
    said = capsys.readouterr().out
    assert "another beta\n  other bits: step 1: network/generator/0.weight" in said
    assert "5 commits, 4 of them asked" in said
    assert called(monkeypatch, "bisect", "HEAD~2", "HEAD", *asked) == 10
    assert "compute the same" in capsys.readouterr().out
    assert called(monkeypatch, "bisect", "HEAD~2", "HEAD", *asked, "--seeds", "1") == 2
    assert "--seeds must be 2 or more, not 1" in capsys.readouterr().err
