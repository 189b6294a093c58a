"""Does every reference still compute the same bits as at an earlier revision? `python benchmarks/same_bits.py REV`.

Each reference is trained for some steps by the code of both revisions, each in a process of its own with the same
number of threads, and the digests of the whole state after every step are compared. Ends with 1 where they differ.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from harness.comparison.revisions import commit_of, files_of, own_packages_first

# Only what trees of all revisions have.
_TRAIN = """
import sys
import reference
from harness.training import RunConfig, train
out, steps, threads, most, data, patterns = sys.argv[1:]
for spec in reference.matching(reference.specs(), patterns):
    card = reference.get(spec).card
    whole = reference.get(f"{spec}{',' if '@' in spec else '@'}{card.reduced}") if card.reduced else None
    form = reference.spec_of(whole) if whole is not None else spec
    train(RunConfig(
        reference=form, seed=card.seed, batch_size=min(card.batch_size, int(most)), steps=int(steps),
        threads=int(threads), trace=True, tensorboard=False, pictures=False, keep_checkpoints=0, workers=0,
        data_root=data or None,
    ), __import__("pathlib").Path(out) / spec.replace("/", "_"))
"""
Digests = dict[str, dict[str, str]]


def traces(tree: Path, out: Path, options: argparse.Namespace) -> dict[str, Digests]:
    """The digests by spec, step and tensor that the code of `tree` leaves in `out`."""
    given = [
        str(out),
        str(options.steps),
        str(options.threads),
        str(options.batch),
        options.data_root,
        options.references,
    ]
    subprocess.run(
        [sys.executable, "-c", _TRAIN, *given],
        cwd=tree,
        env=own_packages_first(tree),
        check=True,
        stdout=subprocess.DEVNULL,
    )
    found: dict[str, Digests] = {}
    for trace in sorted(out.glob("*/trace.jsonl")):
        rows = [json.loads(line) for line in trace.read_text(encoding="utf-8").splitlines()]
        found[trace.parent.name] = {str(row["step"]): row["digests"] for row in rows}
    return found


def difference(one: Digests, other: Digests) -> str:
    """The first step and tensor of those that both have that differ; "" where none does.

    Raises:
        ValueError: they don't speak of the same steps, or of no tensor of a network in common.
    """
    if one.keys() != other.keys():
        raise ValueError(f"steps {', '.join(one)} against {', '.join(other)}")
    for step, digests in one.items():
        common = digests.keys() & other[step].keys()
        if not any(name.startswith("network") for name in common):
            raise ValueError(f"nothing in common at step {step}: {', '.join(sorted(digests)[:3])}")
        for name in sorted(common):
            if digests[name] != other[step][name]:
                return f"step {step}, {name}"
    return ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("revision")
    parser.add_argument("--candidate", default="HEAD", help="the revision that is held against it (default HEAD)")
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, default=8, help="most samples in a batch")
    parser.add_argument("--references", default="*")
    parser.add_argument("--data-root", default="")
    options = parser.parse_args()
    sides = []
    with tempfile.TemporaryDirectory() as folder:
        for revision in (options.revision, options.candidate):
            with files_of(commit_of(revision)) as tree:
                sides.append(traces(tree, Path(folder) / revision.replace("/", "_"), options))
    base, candidate = sides
    missing = sorted(base.keys() ^ candidate.keys())
    differing = {
        spec: found for spec in base if spec in candidate and (found := difference(base[spec], candidate[spec]))
    }
    for spec in base:
        print(f"{spec}: {differing.get(spec) or 'the same bits'}" if spec in candidate else f"{spec}: missing")
    tensors = sum(len(digests) for spec in base if spec in candidate for digests in base[spec].values())
    print(
        f"{len(base) - len(differing)} of {len(base)} references with the same bits over {options.steps} steps, "
        f"{options.threads} thread(s), {tensors} digests at {options.revision}"
    )
    if missing:
        print(f"on one side only: {', '.join(missing)}")
    return 1 if differing or missing or not base else 0


if __name__ == "__main__":
    sys.exit(main())
