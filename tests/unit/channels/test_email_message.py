"""An email reads back as what it was built from, and no value can add a header to it."""

import email
import email.policy
import re
from email.header import decode_header, make_header
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from channels.email_header import UnsendableMessageError
from channels.email_message import Email, build_email
from domain.message import Channel, Message

MESSAGE = Message(
    "key-1",
    Channel.EMAIL,
    "bob@example.com",
    "Acme <billing@example.org>",
    "Subject",
    "Text",
    None,
)
HEADERS = ["From", "To", "Subject", "Date", "Message-ID", "MIME-Version", "Content-Type"]
CONTROL = st.characters(categories=["Cc", "Zl", "Zp", "Cs"])
PRINTABLE = st.text(st.characters(exclude_categories=["Cc", "Zl", "Zp", "Cs"]))
NAMES = PRINTABLE.map(str.strip).filter(lambda name: not name.startswith('"'))


def header(built: Email, name: str) -> str:
    """Decode by the older of the standard library's two decoders: it drops folds as RFCs say."""
    raw = email.message_from_bytes(built.content, policy=email.policy.compat32)[name]
    return str(make_header(decode_header(raw)))


def text_of(built: Email, kind: str) -> str:
    message = email.message_from_bytes(built.content, policy=email.policy.default)
    assert not message.defects
    part = message.get_body((kind,))
    assert part is not None
    return str(part.get_content())


def as_lines(text: str) -> str:
    """What is promised of a text: its lines, each ended by a line break."""
    return text.replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n") + "\n"


@given(PRINTABLE)
@example("=?utf-8?q?foo=0D=0ABcc:_x@example.com?=")
@example("a" * 3000)
@example(" spaces around ")
def test_any_subject_reads_back(subject: str) -> None:
    built = build_email(MESSAGE._replace(subject=subject))
    assert header(built, "Subject") == subject


@given(NAMES)
@example('Läden, Müller & Söhne "GmbH" \\ <billing@elsewhere.org>')
@example("=?utf-8?q?=0D=0A?=")
def test_any_sender_name_reads_back(name: str) -> None:
    built = build_email(MESSAGE._replace(sender=f"{name} <billing@example.org>"))
    value = header(built, "From")
    assert value.endswith("billing@example.org" + ">" * bool(name))
    read = value.removesuffix("billing@example.org").removesuffix("<billing@example.org>").strip()
    if read.startswith('"') and read.endswith('"'):
        read = re.sub(r"\\(.)", r"\1", read[1:-1])
    assert read == name
    assert built.sender == "billing@example.org"


@given(st.text(), st.none() | st.text())
@example("x" * 5000, None)
@example("nul\0 and \x0b \x85 \u2028", "From here\n.\n..\n")
@example("lone\rcarriage return \r\n\r\n", "")
@example("€" * 2000, "trailing space \n")
def test_any_text_reads_back_in_seven_bit_lines(text: str, html: str | None) -> None:
    built = build_email(MESSAGE._replace(text=text, html=html))
    lines = built.content.split(b"\r\n")
    assert built.content.isascii()
    assert b"\0" not in built.content
    assert lines.pop() == b""
    assert not any(b"\r" in line or b"\n" in line or len(line) > 998 for line in lines)
    assert text_of(built, "plain").replace("\r\n", "\n") == as_lines(text)
    if html is not None:
        assert text_of(built, "html").replace("\r\n", "\n") == as_lines(html)


@given(
    st.fixed_dictionaries(
        {
            "key": st.text(),
            "recipient": st.text() | st.emails(),
            "sender": st.text() | st.builds("{} <{}>".format, st.text(), st.emails()),
            "subject": st.text(),
        }
    )
)
@example({"subject": "x\r\nBcc: eve@example.com"})
@example({"recipient": "bob@example.com\r\nBcc: eve@example.com"})
@example({"recipient": "bob@example.com>\r\nRCPT TO:<eve@example.com"})
@example({"recipient": "bob@example.com, eve@example.com"})
@example({"sender": "x\nBcc: eve@example.com <billing@example.org>"})
@example({"sender": "x <billing@example.org> SIZE=1"})
@example({"key": "k>\r\nBcc: eve@example.com"})
def test_no_value_adds_a_header_or_a_command(values: dict[str, Any]) -> None:
    try:
        built = build_email(MESSAGE._replace(**values))
    except UnsendableMessageError:
        return
    message = email.message_from_bytes(built.content, policy=email.policy.compat32)
    assert message.keys() == [*HEADERS, "Content-Transfer-Encoding"]
    for address in (built.sender, built.recipient):
        assert re.fullmatch(r"[^\s<>@,;]+@[^\s<>@,;]+", address)
        assert address.isascii()


@pytest.mark.parametrize("field", ["subject", "recipient", "sender", "key"])
@given(character=CONTROL)
def test_control_character_is_refused_without_showing_the_value(field: str, character: str) -> None:
    value: dict[str, Any] = {field: f"bob{character}@example.com"}
    with pytest.raises(UnsendableMessageError, match=f"The {field} holds") as refused:
        build_email(MESSAGE._replace(**value))
    assert "bob" not in str(refused.value)


@pytest.mark.parametrize(
    "address", ["", "bob", "bob@", "@example.com", "a b@example.com", "jörg@example.com"]
)
def test_unusable_recipient_is_refused_without_showing_it(address: str) -> None:
    with pytest.raises(UnsendableMessageError, match="The recipient") as refused:
        build_email(MESSAGE._replace(recipient=address))
    assert address == "" or address not in str(refused.value)


def test_domain_outside_ascii_is_sent_by_its_current_name_not_the_one_of_2003() -> None:
    """IDNA 2003 would send to strasse.de, which is somebody else's."""
    built = build_email(MESSAGE._replace(recipient="bob@straße.de"))
    assert built.recipient == "bob@xn--strae-oqa.de"


def test_key_is_the_message_id_at_the_senders_domain() -> None:
    built = build_email(MESSAGE._replace(key="acme/e-1/2"))
    assert header(built, "Message-ID") == "<acme/e-1/2@example.org>"


def test_key_with_characters_that_no_message_id_has_is_percent_encoded() -> None:
    built = build_email(MESSAGE._replace(key="a b:ü"))
    assert header(built, "Message-ID") == "<a%20b%3A%C3%BC@example.org>"
