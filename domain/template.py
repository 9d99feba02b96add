"""A template: what a step says, in each language. A version of it never changes."""

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from domain.message import Channel

TemplateName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_.-]{0,99}$")]
Source = Annotated[str, StringConstraints(min_length=1, max_length=100_000)]


class Text(BaseModel):
    """One language. `html` and `subject` are for email; `text` is always there."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: Source
    subject: Source | None = None
    html: Source | None = None


class Template(BaseModel):
    """The definition that `put_template` brings: Jinja2 sources by language code."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    channel: Channel
    default_language: Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}$")]
    texts: Annotated[
        dict[Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}$")], Text], Field(min_length=1)
    ]

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.default_language not in self.texts:
            raise ValueError(
                f"texts.{self.default_language} is missing: it is the default language"
            )
        for language, text in self.texts.items():
            if self.channel is Channel.EMAIL and text.subject is None:
                raise ValueError(f"texts.{language}.subject is missing: an email needs one")
            if self.channel is Channel.SMS and (text.subject or text.html):
                raise ValueError(f"texts.{language} has a subject or html: an SMS is text only")
        return self

    def text_in(self, language: str | None) -> Text:
        """The customer's language, or the default one."""
        return self.texts.get(language or "", self.texts[self.default_language])
