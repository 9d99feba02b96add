"""Rendering: a small, bounded part of Jinja2, in its sandbox.

Jinja2's sandbox keeps a template from our objects, but lets `{{ 'a' * 10**9 }}` through. What a
reminder needs is text, `{% if %}` and filters; without loops, calls and assignments a template's
cost is bounded by its length, and what can still grow (repetition, output) is counted.
"""

from collections.abc import Callable, Iterator
from functools import lru_cache, wraps
from itertools import islice
from typing import Any, NamedTuple

from jinja2 import StrictUndefined, Template, TemplateError, nodes
from jinja2.exceptions import SecurityError, UndefinedError
from jinja2.filters import do_round
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import missing

from domain.template import Text

MAX_OUTPUT = 200_000
"""Characters of one rendered text."""

_LONGEST_VALUE = 20_000
_MOST_CONCATENATIONS = 50
_CHUNKS_AT_ONCE = 100  # joined before they are counted
_MOST_NODES = 5_000
_DEEPEST = 30  # Jinja2 takes its third power of time
_MOST_DIGITS_ROUNDED = 20
_FILTERS = frozenset(
    [
        "abs",
        "capitalize",
        "d",
        "default",
        "e",
        "escape",
        "float",
        "forceescape",
        "int",
        "length",
        "lower",
        "replace",
        "round",
        "string",
        "title",
        "trim",
        "truncate",
        "upper",
        "urlencode",
    ]
)
_NODES = (
    *(nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Const, nodes.List),
    *(nodes.If, nodes.CondExpr, nodes.Filter, nodes.Test, nodes.Compare, nodes.Operand),
    *(nodes.And, nodes.Or, nodes.Not, nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv),
    *(nodes.Neg, nodes.Pos, nodes.Concat, nodes.Tuple, nodes.Keyword),
)
_SAID: dict[type[nodes.Node], str] = {
    nodes.Assign: "an assignment",
    nodes.Call: "a call",
    nodes.For: "a loop",
    nodes.Getattr: "a part of a value (with a dot)",
    nodes.Getitem: "a part of a value (in brackets)",
    nodes.Macro: "a macro",
    nodes.Pow: "a power",
}


class RenderError(Exception):
    """A template can't be rendered; the message says why, without any of the customer's values."""


class Rendered(NamedTuple):
    subject: str | None
    text: str
    html: str | None


def render(text: Text, values: dict[str, Any]) -> Rendered:
    """Fill one language's texts in; raises RenderError."""
    subject = _fill(text.subject, values, html=False) if text.subject else None
    return Rendered(
        # A subject is one line, whatever the values hold.
        subject=" ".join(subject.split()) if subject is not None else None,
        text=_fill(text.text, values, html=False),
        html=_fill(text.html, values, html=True) if text.html else None,
    )


def check_template(text: Text) -> None:
    """Raise RenderError for what could never be rendered."""
    for source, html in ((text.subject, False), (text.text, False), (text.html, True)):
        if source is not None:
            _compiled(source, html=html)


def _fill(source: str, values: dict[str, Any], *, html: bool) -> str:
    try:
        context = _Context(_HTML if html else _PLAIN, values)
        root = _compiled(source, html=html).root_render_func
        filled = _bounded(root(context))  # type: ignore[arg-type] # all that it asks
        filled.encode()  # half a surrogate pair, which a constant can hold, can't be sent
        return filled  # noqa: TRY300 - with the line above
    except UndefinedError as error:
        raise RenderError(
            f"{error.message}: give it in the customer's or assignment's values"
        ) from None
    except SecurityError as error:
        raise RenderError(str(error.message)) from None
    except RenderError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a filter raises fails this send, not its batch
        raise RenderError(f"a value does not fit the template ({type(error).__name__})") from None


class _Context:
    """What a template without loops, calls and assignments asks of Jinja2's own context.

    That one is made for each text, with a copy of the values.
    """

    __slots__ = ("environment", "eval_ctx", "values")

    def __init__(self, environment: "_Sandbox", values: dict[str, Any]) -> None:
        self.values = values
        self.environment = environment
        self.eval_ctx = environment.eval_ctx

    def resolve_or_missing(self, name: str) -> Any:
        return self.values.get(name, missing)


def _bounded(chunks: Iterator[str]) -> str:
    filled = ""
    while True:
        some = list(islice(chunks, _CHUNKS_AT_ONCE))
        filled += "".join(some)
        if len(filled) > MAX_OUTPUT:
            raise RenderError(f"the text is longer than {MAX_OUTPUT:,} characters")
        if len(some) < _CHUNKS_AT_ONCE:
            return filled


@lru_cache(maxsize=4096)
def _compiled(source: str, *, html: bool) -> Template:
    environment = _HTML if html else _PLAIN
    try:
        _check(environment.parse(source))
        return environment.from_string(source)
    except TemplateError as error:
        line = getattr(error, "lineno", None)
        raise RenderError(f"{error.message}" + (f" (line {line})" if line else "")) from None
    except RecursionError:
        raise RenderError("it is nested too deeply, or has too long an expression") from None
    except RenderError:
        raise
    except Exception as error:  # noqa: BLE001 - such as a number of more digits than Python reads
        raise RenderError(f"it can't be read ({type(error).__name__})") from None


def _check(template: nodes.Template) -> None:
    concatenated = 0
    for number, node in enumerate(_walk(template)):
        if number > _MOST_NODES:
            raise RenderError(f"it has more than {_MOST_NODES:,} values, filters and conditions")
        if not isinstance(node, _NODES):
            what = _SAID.get(type(node), f"{{% {type(node).__name__.lower()} %}}")
            raise RenderError(
                f"line {node.lineno} has {what}: templates have text, {{{{ values }}}}, "
                "{% if %} and filters only"
            )
        if isinstance(node, nodes.Filter) and node.name not in _FILTERS:
            raise RenderError(
                f"line {node.lineno} has the filter {node.name}; there are: "
                + ", ".join(sorted(_FILTERS))
            )
        if isinstance(node, nodes.Test) and node.name not in _PLAIN.tests:
            raise RenderError(f"line {node.lineno} has the test {node.name}, which there is not")
        if isinstance(node, nodes.Name) and node.name == "self":
            raise RenderError(f"line {node.lineno} has self, which is no value's name")
        concatenated += len(node.nodes) if isinstance(node, nodes.Concat) else 0
    if concatenated > _MOST_CONCATENATIONS:
        raise RenderError(f"it joins more than {_MOST_CONCATENATIONS} values with ~")


def _walk(node: nodes.Node, depth: int = 0) -> Iterator[nodes.Node]:
    if depth > _DEEPEST:
        raise RenderError(f"line {node.lineno} is nested more than {_DEEPEST} deep")
    yield node
    for child in node.iter_child_nodes():
        yield from _walk(child, depth + 1)


class _Sandbox(ImmutableSandboxedEnvironment):
    eval_ctx: nodes.EvalContext
    intercepted_binops = frozenset({"*", "+"})

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        if operator == "*" and not (_is_number(left) and _is_number(right)):
            raise SecurityError("* is for numbers up to 10**30, not for texts")
        result = super().call_binop(context, operator, left, right)
        return _not_too_long(result)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and abs(value) < 10**30


def _not_too_long(value: Any) -> Any:
    if isinstance(value, str) and len(value) > _LONGEST_VALUE:
        raise SecurityError(f"a value grows beyond {_LONGEST_VALUE:,} characters")
    return value


def _round(value: float, precision: int = 0, method: Any = "common") -> float:
    if abs(precision) > _MOST_DIGITS_ROUNDED:  # a power of ten is computed
        raise SecurityError(f"round is for up to {_MOST_DIGITS_ROUNDED} digits")
    return do_round(value, precision, method)


def _bounded_filter(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)  # also what Jinja2 has marked it with
    def bounded(*args: Any, **kwargs: Any) -> Any:
        return _not_too_long(function(*args, **kwargs))

    return bounded


def _replace(value: str, old: str, new: str) -> str:
    if len(str(value)) + str(value).count(str(old)) * len(str(new)) > _LONGEST_VALUE:
        raise SecurityError(f"a value grows beyond {_LONGEST_VALUE:,} characters")
    return str(value).replace(str(old), str(new))


def _environment(*, html: bool) -> _Sandbox:
    environment = _Sandbox(autoescape=html, undefined=StrictUndefined, auto_reload=False)
    environment.filters |= {"replace": _replace, "round": _round}
    environment.filters = {
        name: _bounded_filter(environment.filters[name]) for name in sorted(_FILTERS)
    }
    environment.globals = {}
    environment.eval_ctx = nodes.EvalContext(environment)
    return environment


_PLAIN = _environment(html=False)
_HTML = _environment(html=True)
