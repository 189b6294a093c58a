"""The bits that a baseline keeps of each reference: a run that has them still needs no training to be kept."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from harness.comparison.bits import SAME_BITS, RevisionBits, compare_bits, compute_on_both
from harness.comparison.first_steps import Computed, FirstSteps
from harness.files.git import revision_here
from harness.files.writing import write_text
from harness.records.environment import environment, moved_bits
from harness.records.options import named_root
from harness.records.report_folder import ENVIRONMENT, SESSION, Asked, read_session
from harness.training.device import resolve_device
from reference import load_module, source_digest

KEPT_BITS = "first_steps.jsonl"


def keep_bits(report: Path, baseline: Path, steps: int, data_root: Path | None, runs: Path | None) -> str:
    """Write what the references of a report compute in their first `steps` beside the records of its baseline.

    Further states follow from the checkpoints of trainings that are kept in `runs`. Returns what was kept, or why
    nothing was: only the code and the machine of the report can tell what it computed.

    Raises:
        ValueError: a reference's module can't be imported.
    """
    try:
        asked = read_session(report)
    except ValueError:
        return f"no bits are kept: {report} doesn't say of which code it is"
    device, root = (_option(asked, name) for name in ("device", "data-root"))
    if why := _made_elsewhere(report, asked, device or "auto"):
        return f"no bits are kept: {why}"
    at = named_root(Path(root) if root else data_root)
    seed = _option(asked, "first-seed")
    what = FirstSteps(
        ",".join(asked.specs),
        asked.modules,
        int(seed) if seed else None,
        steps,
        device or "auto",
        str(at.absolute()) if at else None,
        str(runs.resolve()) if runs else None,
    )
    (found,) = compute_on_both({"report": Path.cwd()}, what)
    lines = [json.dumps(asdict(what)), *(json.dumps(asdict(computed)) for computed in found)]
    write_text(baseline / KEPT_BITS, "".join(f"{line}\n" for line in lines))
    failed = sum(bool(computed.failed) for computed in found)
    return f"the bits of {len(found) - failed} references are kept" + (f", {failed} failed" if failed else "")


def _option(asked: Asked, name: str) -> str:
    return next((said.partition("=")[2] for said in asked.options if said.startswith(f"--{name}=")), "")


def _made_elsewhere(report: Path, asked: Asked, device: str) -> str:
    """Why what is computed here and now may not be what the report is of; "" where it is."""
    if not _is_of_here(report, device):
        return "the report is of another machine, or of other versions"
    revision, clean = revision_here()
    if revision != asked.revision:
        return f"the report is of {asked.revision[:12] or 'no commit'}, here is {revision[:12] or 'no commit'}"
    if revision and not (clean and asked.clean):
        return f"{revision[:12]} isn't all of the code: commit what changed, then run the suites again"
    for module in asked.modules:
        load_module(module)
        if source_digest(module) != asked.code.get(module):
            return f"{module} has changed since"
    return ""


def _is_of_here(folder: Path, device: str) -> bool:
    path = folder / ENVIRONMENT
    if not path.is_file():
        return False
    here = environment(resolve_device(device))
    there = json.loads(path.read_text(encoding="utf-8")).values()
    return not any(moved_bits(facts, here) for facts in there)


def bits_against(
    baseline: Path, specs: Sequence[str], modules: Sequence[str], device: str, data_root: Path | None
) -> list[RevisionBits]:
    """Hold what the references compute here against the bits that a baseline keeps; [] where it can't say.

    That is where it keeps none, is of another machine, or of none of the references.

    Raises:
        ValueError: the kept bits are damaged, or the first steps can't be had.
    """
    path = baseline / KEPT_BITS
    if not path.is_file() or not (baseline / SESSION).is_file() or not _is_of_here(baseline, device):
        return []
    what, base = _read(path)
    base = [computed for computed in base if computed.reference in specs]
    if not base:
        return []
    if what.runs and not Path(what.runs).is_dir():
        what, base = replace(what, runs=None), [without_checkpoints(computed) for computed in base]
    mine = [computed.reference for computed in base]
    root = str(data_root.absolute()) if data_root else None
    here = replace(what, references=",".join(mine), modules=tuple(modules), device=device, data_root=root)
    (found,) = compute_on_both({"run": Path.cwd()}, here)
    return compare_bits(base, found)


def _read(path: Path) -> tuple[FirstSteps, list[Computed]]:
    try:
        first, *rest = (json.loads(line) for line in path.read_text(encoding="utf-8").splitlines())
        return FirstSteps(**(first | {"modules": tuple(first["modules"])})), [Computed(**line) for line in rest]
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{path} is damaged: {error}; `gan-harness baseline save` writes it anew") from error


def without_checkpoints(computed: Computed) -> Computed:
    """The same without what followed from checkpoints that are gone."""
    if not computed.continued:
        return computed
    first = min(computed.continued)
    states = {step: digests for step, digests in computed.states.items() if int(step) <= first}
    return replace(computed, states=states, continued=())


def bits_sentence(bits: Sequence[RevisionBits]) -> str:
    """Which references are kept without training, and why the others aren't."""
    same = [found.reference for found in bits if found.verdict == SAME_BITS]
    parts = [f"{SAME_BITS}, so nothing of them was trained: {', '.join(same)}"] if same else []
    parts += [f"{found.reference}: {found.verdict}, {found.reason}" for found in bits if found.verdict != SAME_BITS]
    return f"Bits: {'; '.join(parts)}."
