"""Names to references. Collisions raise, misses say what is close, and other people's references join by
entry point (group `gan_harness.references`) or by module name.

A *spec* names a reference and its options in one string, the same everywhere: in commands, run folders and
records. `idl-wgan-gp-mnist` is the system as written, `idl-wgan-gp-mnist@corrected` the formula it stands for,
`idl-wgan-gp-grid@critic_updates=5` an option with a value.
"""

from __future__ import annotations

import dataclasses
import difflib
import fnmatch
import importlib
import importlib.metadata
import pkgutil
from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

from reference.api.card import Card
from reference.api.protocols import Reference
from reference.api.user_modules import import_user_module

ENTRY_POINT_GROUP = "gan_harness.references"


class _ReferenceClass(Protocol):
    """A frozen dataclass whose fields are the reference's options."""

    card: Card
    __dataclass_fields__: dict[str, Any]

    def __call__(self, **options: object) -> Reference: ...


_T = TypeVar("_T", bound=type)
_registered: dict[str, _ReferenceClass] = {}
_unlisted: set[str] = set()
_loaded: set[str] = set()


def register(cls: _T) -> _T:
    """Class decorator: enter a reference under its card's name.

    Raises:
        ValueError: the name is taken by another class, holds one of the characters that a spec uses, or the class
            isn't a dataclass.
    """
    name = cls.card.name  # type: ignore[attr-defined]
    if not dataclasses.is_dataclass(cls):
        raise ValueError(f"the reference {name!r} must be a dataclass whose fields are its options")
    if set(name) & set("@=,/ "):
        raise ValueError(f"the reference name {name!r} must not contain '@', '=', ',', '/' or spaces")
    holder = _registered.get(name)
    if holder is not None and _origin(holder) != _origin(cls):
        own, other = sorted((_origin(holder), _origin(cls)), key=lambda origin: origin.startswith("reference."))
        raise ValueError(f"the reference name {name!r} is taken by {other}; {own} needs another")
    _registered[name] = cls  # type: ignore[assignment]
    return cls


def unlisted(cls: _T) -> _T:
    """Class decorator: enter a reference under its class's name in small letters, found by spec and never listed.

    For references that are made from others, and have their cards.
    """
    name = cls.__name__.lower()
    _registered[name] = cls  # type: ignore[assignment]
    _unlisted.add(name)
    return cls


def names() -> list[str]:
    """Every registered and listed name, sorted."""
    _load_known()
    return sorted(_registered.keys() - _unlisted)


def specs() -> list[str]:
    """Every registered name, and beside it the variants that its card lists, as specs."""
    return [spec for name in names() for spec in (name, *(f"{name}@{v}" for v in _registered[name].card.variants))]


def matching(specs: Sequence[str], patterns: str) -> list[str]:
    """The specs that match any of the comma-separated `patterns`, in the order of `specs`.

    A pattern with options that isn't among them is a spec of its own, as `idl-wgan-gp-grid@critic_updates=5`; such come
    last.

    Raises:
        ValueError: a pattern matches none, or names an option that isn't there.
    """
    chosen: set[str] = set()
    further: list[str] = []
    for pattern in _patterns(patterns):
        found = fnmatch.filter(specs, pattern)
        if not found and "@" in pattern and "*" not in pattern:
            found = [spec_of(get(pattern))]
            further += [spec for spec in found if spec not in specs]
        if not found:
            raise ValueError(f"no reference matches {pattern!r}; there are: {', '.join(specs)}")
        chosen |= set(found)
    return [*(spec for spec in specs if spec in chosen), *dict.fromkeys(further)]


def _patterns(text: str) -> list[str]:
    """The parts between commas; one that can only be a further option belongs to the part before it."""
    parts: list[str] = []
    for part in text.split(","):
        if parts and "@" in parts[-1] and "=" in part and "@" not in part:
            parts[-1] += f",{part.strip()}"
        else:
            parts.append(part.strip())
    return parts


def get(spec: str, **options: object) -> Reference:
    """The reference that `spec` names, with `options` on top of those in the spec.

    Raises:
        ValueError: an unknown name (the message says what is close), an unknown option or a value that doesn't fit.
    """
    name, _, written = spec.partition("@")
    cls = _find(name)
    fields = {field.name: field for field in dataclasses.fields(cls) if field.init}  # type: ignore[arg-type]
    given = dict(_parse_option(name, item, fields) for item in written.split(",") if item) | options
    for option in given:
        if option not in fields:
            choices = ", ".join(fields) or "none"
            raise ValueError(f"{name} has no option {option!r}; its options: {choices}")
    return cls(**given)


def spec_of(reference: Reference) -> str:
    """The shortest spec that gives this reference back."""
    changed = []
    for field in dataclasses.fields(reference):  # type: ignore[arg-type]
        value = getattr(reference, field.name)
        if field.init and value != field.default:
            changed.append(field.name if value is True else f"{field.name}={value}")
    return reference.card.name + ("@" + ",".join(changed) if changed else "")


def load_module(module: str) -> list[str]:
    """Import a module that registers references of its own, and name them; the current folder is searched too.

    Raises:
        ValueError: the module can't be found, or importing it registers nothing.
    """
    try:
        imported = import_user_module(module)
    except Exception as error:  # whatever a stranger's module does while it is imported
        raise ValueError(
            f"the reference module {module!r} can't be imported: {type(error).__name__}: {error}"
        ) from error
    found = [name for name, cls in _registered.items() if _lies_in(cls, imported.__name__)]
    if not found:
        raise ValueError(f"the reference module {module!r} registers no reference; decorate one with @register")
    return sorted(found)


def _lies_in(cls: Any, module: str) -> bool:
    return f"{cls.__module__}.".startswith(f"{module}.")


def _find(name: str) -> _ReferenceClass:
    known = names()
    if name in _registered:
        return _registered[name]
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(close)}? " if close else ""
    raise ValueError(f"unknown reference {name!r}; {hint}there are: {', '.join(known)}")


def _parse_option(name: str, item: str, fields: dict[str, dataclasses.Field[Any]]) -> tuple[str, object]:
    option, equals, text = item.partition("=")
    if option not in fields:
        raise ValueError(f"{name} has no option {option!r}; its options: {', '.join(fields) or 'none'}")
    default: Any = fields[option].default
    if isinstance(default, bool):
        if text not in ("", "true", "false") or (equals and not text):
            raise ValueError(f"the option {option} of {name} takes true or false, not {text!r}")
        return option, text != "false"
    try:
        return option, type(default)(text)
    except ValueError as error:
        raise ValueError(f"the option {option} of {name} takes {type(default).__name__}, not {text!r}") from error


def _load_known() -> None:
    """Import this package's own references once, then those that entry points name."""
    if _loaded:
        return
    _loaded.add("reference")
    package = importlib.import_module("reference")
    for info in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"reference.{info.name}")
    for point in importlib.metadata.entry_points(group=ENTRY_POINT_GROUP):
        try:
            point.load()
        except Exception as error:
            raise ValueError(f"the entry point {point.name} = {point.value} fails to load: {error}") from error


def _origin(cls: Any) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"
