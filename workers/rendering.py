"""Rendering: a small, bounded part of Jinja2, in its sandbox.

Jinja2's sandbox keeps a template from our objects, but lets `{{ 'a' * 10**9 }}` through. What a
reminder needs is text, `{% if %}` and filters; without loops, calls and assignments a template's
cost is bounded by its length, and what can still grow (repetition, output) is counted.
"""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from jinja2 import StrictUndefined, Template, TemplateError, nodes
from jinja2.exceptions import SecurityError, UndefinedError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from domain.template import Text

MAX_OUTPUT = 200_000
"""Characters of one rendered text."""

_LONGEST_VALUE = 100_000
_MOST_CONCATENATIONS = 50
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


class RenderError(Exception):
    """A template can't be rendered; the message says why, without any of the customer's values."""


class Rendered(NamedTuple):
    subject: str | None
    text: str
    html: str | None


def render(text: Text, values: Mapping[str, Any]) -> Rendered:
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


def _fill(source: str, values: Mapping[str, Any], *, html: bool) -> str:
    try:
        return "".join(_bounded(_compiled(source, html=html).generate(values)))
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


def _bounded(chunks: Iterator[str]) -> Iterator[str]:
    length = 0
    for chunk in chunks:
        length += len(chunk)
        if length > MAX_OUTPUT:
            raise RenderError(f"the text is longer than {MAX_OUTPUT:,} characters")
        yield chunk


@lru_cache(maxsize=4096)
def _compiled(source: str, *, html: bool) -> Template:
    environment = _HTML if html else _PLAIN
    try:
        _check(environment.parse(source))
        return environment.from_string(source)
    except TemplateError as error:
        line = getattr(error, "lineno", None)
        raise RenderError(f"{error.message}" + (f" (line {line})" if line else "")) from None


def _check(template: nodes.Template) -> None:
    concatenated = 0
    for node in (template, *template.find_all(nodes.Node)):
        what = type(node).__name__.lower()
        if not isinstance(node, _NODES):
            raise RenderError(
                f"line {node.lineno} has a {what}: templates have text, {{{{ values }}}}, "
                "{% if %} and filters only"
            )
        if isinstance(node, nodes.Filter) and node.name not in _FILTERS:
            raise RenderError(
                f"line {node.lineno} has the filter {node.name}; there are: "
                + ", ".join(sorted(_FILTERS))
            )
        concatenated += len(node.nodes) if isinstance(node, nodes.Concat) else 0
    if concatenated > _MOST_CONCATENATIONS:
        raise RenderError(f"it joins more than {_MOST_CONCATENATIONS} values with ~")


class _Sandbox(ImmutableSandboxedEnvironment):
    intercepted_binops = frozenset({"*", "+"})

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        if operator == "*" and not (_is_number(left) and _is_number(right)):
            raise SecurityError("a text is repeated with *, which templates can't")
        result = super().call_binop(context, operator, left, right)
        return _not_too_long(result)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and abs(value) < 10**30


def _not_too_long(value: Any) -> Any:
    if isinstance(value, str) and len(value) > _LONGEST_VALUE:
        raise SecurityError(f"a value grows beyond {_LONGEST_VALUE:,} characters")
    return value


def _replace(value: str, old: str, new: str) -> str:
    if len(str(value)) + str(value).count(str(old)) * len(str(new)) > _LONGEST_VALUE:
        raise SecurityError(f"a value grows beyond {_LONGEST_VALUE:,} characters")
    return str(value).replace(str(old), str(new))


def _environment(*, html: bool) -> _Sandbox:
    environment = _Sandbox(autoescape=html, undefined=StrictUndefined, auto_reload=False)
    environment.filters = {name: environment.filters[name] for name in _FILTERS}
    environment.filters["replace"] = _replace
    environment.globals = {}
    return environment


_PLAIN = _environment(html=False)
_HTML = _environment(html=True)
