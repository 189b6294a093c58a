"""How a command is made: of a function and one dataclass, whose fields are its arguments and options.

Old spellings stand in `aliases`. Imports wait until a command needs them.
"""

from __future__ import annotations

import dataclasses
import inspect
import sys
from collections.abc import Callable
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

import typer

_CONTEXT = "context"
_F = TypeVar("_F", bound=Callable[..., Any])

app = typer.Typer(
    help="Does this GAN still do what its document says, and did my change make it worse?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def command(name: str, to: typer.Typer = app) -> Callable[[_F], _F]:
    """Enter a function of one dataclass: its fields are the command's arguments and options."""

    def enter(function: _F) -> _F:
        hints = get_type_hints(function, include_extras=True)
        (options,) = (hints[parameter] for parameter in inspect.signature(function).parameters)
        fields = {field.name: field for field in dataclasses.fields(options) if field.init}
        annotated = get_type_hints(options, include_extras=True)
        knows_given = fields.pop("given", None) is not None  # which options the command line named
        several = {name for name in fields if _is_tuple(annotated[name])}

        def run(**values: Any) -> Any:
            values = {n: tuple(v) if n in several else v for n, v in values.items()}
            if knows_given:
                context = values.pop(_CONTEXT)
                values["given"] = frozenset(n for n in fields if _from_command_line(context, n))
            return function(options(**values))

        run.__doc__ = function.__doc__
        context = inspect.Parameter(_CONTEXT, inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
        parameters = [
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                default=_default(field),
                annotation=_as_list(annotated[name]) if name in several else annotated[name],
            )
            for name, field in fields.items()
        ]
        signature = inspect.Signature([*([context] if knows_given else []), *parameters])
        run.__signature__ = signature  # type: ignore[attr-defined]
        to.command(name)(run)
        return function

    return enter


def _from_command_line(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default is dataclasses.MISSING:
        return inspect.Parameter.empty
    return list(field.default) if isinstance(field.default, tuple) else field.default


def _is_tuple(hint: Any) -> bool:
    return get_origin(get_args(hint)[0] if get_origin(hint) is Annotated else hint) is tuple


def _as_list(hint: Any) -> Any:
    """What typer takes for an option that may be given several times."""
    of, *marks = get_args(hint)
    return Annotated[(list[get_args(of)[0]], *marks)]  # type: ignore[misc]


def complain(text: str) -> None:
    """One line on standard error, however many `text` has."""
    print(f"gan-harness: {' '.join(text.split())}", file=sys.stderr)
