"""A template is complete before it is taken: each language has what its channel needs."""

from typing import Any

import pytest
from pydantic import ValidationError

from domain.mistakes import in_words
from domain.template import Template

EMAIL = {"subject": "Hello", "text": "Dear {{ name }}"}
SMS = {"text": "Hello {{ name }}"}


def template(channel: str, **texts: dict[str, Any]) -> dict[str, Any]:
    return {"channel": channel, "default_language": "en", "texts": texts}


@pytest.mark.parametrize(
    ("given_as", "says"),
    [
        (template("email"), "texts: "),
        (template("email", fr=EMAIL), "texts.en is missing: it is the default language"),
        (template("email", en=SMS), "texts.en.subject is missing: an email needs one"),
        (template("email", en=EMAIL, fr=SMS), "texts.fr.subject is missing: an email needs one"),
        (template("sms", en=EMAIL), "texts.en has a subject or html: an SMS is text only"),
        (template("sms", en={**SMS, "html": "<p>"}), "texts.en has a subject or html"),
        (template("sms", en={"text": ""}), "texts.en.text: "),
        (template("sms", en={"text": "x" * 100_001}), "texts.en.text: "),
        (template("sms", en={}), "texts.en.text: is missing"),
        (template("sms", en=SMS, EN=SMS), "texts.EN: "),
        (template("fax", en=SMS), "channel: is not 'email' or 'sms'"),
        ({**template("sms", en=SMS), "default_language": "english"}, "default_language: "),
    ],
)
def test_incomplete_template_is_refused_by_what_is_missing(
    given_as: dict[str, Any], says: str
) -> None:
    with pytest.raises(ValidationError) as refused:
        Template.model_validate(given_as)
    assert in_words(refused.value).startswith(says)


@pytest.mark.parametrize(
    ("language", "text"), [("fr", "Bonjour"), ("en", "Hello"), ("de", "Hello"), (None, "Hello")]
)
def test_text_is_in_the_customers_language_or_the_default_one(
    language: str | None, text: str
) -> None:
    both = Template.model_validate(template("sms", en={"text": "Hello"}, fr={"text": "Bonjour"}))
    assert both.text_in(language).text == text


def test_stored_template_is_read_back_equal() -> None:
    first = Template.model_validate(template("email", en={**EMAIL, "html": "<b>{{ name }}</b>"}))
    assert Template.model_validate_json(first.model_dump_json()) == first
