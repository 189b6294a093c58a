"""Spellings of before version 0.2, which still work and say what they are called now. They go with version 0.3."""

from __future__ import annotations

from pathlib import Path

_OPTIONS: dict[tuple[str, str], tuple[str, ...]] = {
    ("train", "--cudnn-benchmark"): ("--numerics", "cudnn-benchmark"),
    ("batch-size", "--deterministic"): ("--numerics", "deterministic"),
    ("batch-size", "--context"): ("--cuda-context",),
    ("sample", "--vectors"): ("--latents",),
    ("sample", "--way"): ("--interpolation",),
    ("sample", "--digit"): ("--label",),
    ("sample", "--as-written"): ("--literal",),
    ("sample", "--as-meant"): ("--corrected",),
    ("make-data", "--n"): ("-n",),
}
_COMMANDS: dict[tuple[str, ...], tuple[str, ...]] = {
    ("baseline", "accept"): ("baseline", "save"),
    ("tables", "memory"): ("memory",),
    ("data",): ("make-data",),
}
_FLAGS = {"--speed", "-h", "--help"}


def translate(words: list[str]) -> tuple[list[str], list[str]]:
    """A command line in the words of today, and what to say of those that were put into others."""
    words, notes = list(words), []
    start = next((place for place, word in enumerate(words) if not word.startswith("-")), len(words))
    for old, new in _COMMANDS.items():
        if tuple(words[start : start + len(old)]) == old:
            notes.append(f"`{' '.join(old)}` is `{' '.join(new)}` since version 0.2")
            words[start : start + len(old)] = new
    if words[start : start + 1] == ["compare"] and _of_revisions(words[start + 1 :]):
        notes.append("git revisions are compared by `ab` since version 0.2")
        words[start] = "ab"
    command = words[start] if start < len(words) else ""
    found: list[str] = []
    for word in words:
        option, equals, value = word.partition("=")
        today = _OPTIONS.get((command, option))
        if today is None:
            found.append(word)
            continue
        notes.append(f"{option} is {' '.join(today)} since version 0.2")
        found += [f"{today[0]}={value}"] if equals else today
    return found, notes


def _of_revisions(words: list[str]) -> bool:
    """Whether what `compare` is given are git revisions: neither of both is a path that is there."""
    sides: list[str] = []
    values = iter(words)
    for word in values:
        if not word.startswith("-"):
            sides.append(word)
        elif "=" not in word and word not in _FLAGS:
            next(values, None)  # its value
    return len(sides) >= 2 and not any(Path(side).exists() for side in sides[:2])
