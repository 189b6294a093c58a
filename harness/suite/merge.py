"""Reports of shards become one, as if one machine had made it; nothing is missing, twice, or of another run."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from harness.files.writing import write_folder, write_text
from harness.records.environment import moved_bits
from harness.records.report_folder import CHECKS, ENVIRONMENT, Asked, read_session, write_session
from harness.suite.journal import Collected, Told, read_collected, read_told, write_collected
from harness.suite.shards import Shard, parse_shard


@dataclass(frozen=True)
class Part:
    """One shard's report, read."""

    folder: Path
    shard: Shard
    collected: Collected
    asked: Asked
    environments: Mapping[str, Mapping[str, object]]
    told: Mapping[int, Told]


def read_part(folder: Path) -> Part:
    """The report of one shard.

    Raises:
        ValueError: it is none, or is damaged.
    """
    what = read_collected(folder / CHECKS)
    if what is None or not what.shard:
        raise ValueError(f"{folder} is no report of a shard: `pytest suites --shard 1/2 --report-dir FOLDER` makes one")
    path = folder / ENVIRONMENT
    try:
        environments = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} can't be read: {error}") from error
    return Part(folder, parse_shard(what.shard), what, read_session(folder), environments, read_told(folder / CHECKS))


def merge_parts(folders: Sequence[Path], out: Path) -> Collected:
    """Write what all shards told into `out`, a report that `--resume` finishes; returns what was collected.

    Raises:
        ValueError: shards that are missing, there twice, unfinished, or of another run; or `out` isn't free.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f"{out} is there already, and no result replaces another: give another --out")
    parts = sorted((read_part(folder) for folder in folders), key=lambda part: part.shard.number)
    if not parts:
        raise ValueError("name the report folders of all shards")
    _check_one_run(parts)
    _check_whole(parts)
    told = {place: part.told[place] for part in parts for place in part.collected.mine}
    whole = replace(parts[0].collected, shard="", mine=())

    def fill(at: Path) -> None:
        (at / CHECKS).mkdir()
        write_collected(at / CHECKS, whole)
        write_text(at / CHECKS / "0.jsonl", "".join(f"{json.dumps(asdict(told[place]))}\n" for place in sorted(told)))
        environments = {name: facts for part in parts for name, facts in part.environments.items()}
        write_text(at / ENVIRONMENT, json.dumps(environments, indent=1) + "\n")
        write_session(at, replace(parts[0].asked, outcomes={}, finished=""))
        for part in parts:
            for kind in ("plots", "runs"):
                if (part.folder / kind).is_dir():
                    shutil.copytree(part.folder / kind, at / kind, copy_function=_linked, dirs_exist_ok=True)

    if out.is_dir():
        out.rmdir()
    write_folder(out, fill)
    return whole


def _check_one_run(parts: Sequence[Part]) -> None:
    """All shards are of one run: the same checks of the same code, asked for alike, measured alike."""
    first = parts[0]
    facts = next(iter(first.environments.values()))
    for part in parts[1:]:
        differ = [
            name
            for name in ("specs", "modules", "options", "revision", "clean", "code")
            if getattr(part.asked, name) != getattr(first.asked, name)
        ]
        differ += [
            name for name in ("checks", "code") if getattr(part.collected, name) != getattr(first.collected, name)
        ]
        if part.shard.count != first.shard.count:
            differ.append(f"number of shards ({first.shard.count}, {part.shard.count})")
        moved = [found for one in part.environments.values() for found in moved_bits(facts, one)]
        differ += [f"{name} ({one}, {other})" for name, one, other in moved]
        if differ:
            raise ValueError(
                f"{part.folder} isn't of one run with {first.folder}: other {', '.join(dict.fromkeys(differ))}"
            )


def _check_whole(parts: Sequence[Part]) -> None:
    """Every shard is there once, and has done all that is its own."""
    by_number: dict[int, Path] = {}
    for part in parts:
        if part.shard.number in by_number:
            raise ValueError(f"shard {part.shard} is there twice: {by_number[part.shard.number]} and {part.folder}")
        by_number[part.shard.number] = part.folder
    count = parts[0].shard.count
    missing = [str(number) for number in range(1, count + 1) if number not in by_number]
    if missing:
        raise ValueError(f"of {count} shards, {', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing")
    for part in parts:
        if left := set(part.collected.mine) - set(part.told):
            raise ValueError(f"shard {part.shard} in {part.folder} lacks {len(left)} checks: --resume goes on with it")
    dealt_out = sorted(place for part in parts for place in part.collected.mine)
    if dealt_out != list(range(parts[0].collected.count - parts[0].collected.closing)):
        raise ValueError("the shards were dealt otherwise on different machines: checks are missing, or there twice")


def _linked(source: str, target: str) -> None:
    """A file of a training, which may be large, isn't copied where it needn't be."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
