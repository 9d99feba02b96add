"""Texts as they would read, with the names of what is filled in where nobody is meant."""

from jinja2 import Environment, meta

from domain.template import Text
from workers.rendering import Rendered, render

_READER = Environment(autoescape=True)
"""Only to find names: what renders is the sandbox."""


def sample(text: Text) -> Rendered:
    """A text with `[name]` for each value; raises RenderError if names do not fit in."""
    return render(text, {name: f"[{name}]" for name in _names_in(text)})


def _names_in(text: Text) -> set[str]:
    sources = (text.subject, text.text, text.html)
    found = (
        meta.find_undeclared_variables(_READER.parse(source))
        for source in sources
        if source is not None
    )
    return {name for names in found for name in names}
