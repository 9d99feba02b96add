"""Rendering: text, values, `{% if %}` and filters; whatever else a template asks for is refused."""

import contextlib
import json
import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.template import Text
from workers.rendering import MAX_OUTPUT, RenderError, check_template, render

VALUES = {
    "name": "Ann & <b>Bob</b>",
    "amount": 12.5,
    "count": 3,
    "vip": True,
    "secret": "hunter2",
}


def filled(source: str, **values: object) -> str:
    return render(Text(text=source), {**VALUES, **values}).text


def html(source: str, **values: object) -> str | None:
    return render(Text(text="-", html=source), {**VALUES, **values}).html


def why(source: str, **values: object) -> str:
    with pytest.raises(RenderError) as refused:
        filled(source, **values)
    return str(refused.value)


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("Dear {{ name }},", "Dear Ann & <b>Bob</b>,"),
        ("{% if vip %}gold{% else %}plain{% endif %}", "gold"),
        ("{% if count > 5 and vip %}many{% elif count == 3 %}three{% endif %}", "three"),
        ("{% if promo is defined %}{{ promo }}{% endif %}", ""),
        ("{{ promo|default('none') }} {{ name|upper|truncate(6, true, '') }}", "none ANN & "),
        ("{{ count * 2 + 1 }} {{ amount|round(0)|int }}", "7 12"),
        ("{{ name|replace('Ann', 'Eve')|length }}", "16"),
        ("{{ 'a' ~ count ~ 'b' }} {{ 'x' if vip else 'y' }}", "a3b x"),
        ("{% raw %}{{ name }}{% endraw %}{# hidden #}", "{{ name }}"),
    ],
)
def test_templates_have_values_conditions_and_filters(source: str, text: str) -> None:
    assert filled(source) == text


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("<p>{{ name }}</p>", "<p>Ann &amp; &lt;b&gt;Bob&lt;/b&gt;</p>"),
        ("{{ name|e }}", "Ann &amp; &lt;b&gt;Bob&lt;/b&gt;"),
        ("{{ '<i>' ~ name }}", "&lt;i&gt;Ann &amp; &lt;b&gt;Bob&lt;/b&gt;"),
        ("{{ name|replace('Ann', '<script>') }}", "&lt;script&gt; &amp; &lt;b&gt;Bob&lt;/b&gt;"),
        ("{{ link|default('<a>') }}", "&lt;a&gt;"),
        ("<a href='?q={{ name|urlencode }}'>", "<a href='?q=Ann%20%26%20%3Cb%3EBob%3C/b%3E'>"),
    ],
)
def test_values_are_escaped_in_html_and_only_there(source: str, text: str) -> None:
    assert html(source) == text
    assert filled("{{ name }}") == VALUES["name"]


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=200))
@settings(deadline=None)
def test_no_value_can_write_a_tag_or_a_line_into_a_subject(value: str) -> None:
    text = Text(subject="Hi {{ a }}", text="{{ a }}", html="<p>{{ a|upper }}{{ a|e }}{{ a }}</p>")
    rendered = render(text, {"a": value})
    assert rendered.subject is not None
    assert rendered.html is not None
    assert len(rendered.subject.splitlines()) == 1
    assert rendered.text == value
    assert rendered.html.count("<") == 2


def test_subject_is_one_line_whatever_the_template_and_the_values_hold() -> None:
    text = Text(subject="A\n{{ a }}\r\nB", text="-")
    assert render(text, {"a": "x\r\nBcc: y\u2028z"}).subject == "A x Bcc: y z B"


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("{{ nmae }}", "'nmae' is undefined: give it in the customer's or assignment's values"),
        ("{{ nmae|upper }}", "'nmae' is undefined: "),
        ("{% if nmae %}x{% endif %}", "'nmae' is undefined: "),
        ("\n\n{{ name }", "unexpected '}' (line 3)"),
        ("\n{% if %}", "Expected an expression, got 'end of statement block' (line 2)"),
        ("\n{% if vip %}", "Unexpected end of template. "),
        ("{{ name|shout }}", "line 1 has the filter shout; there are: abs, "),
        ("\n{{ name|safe }}", "line 2 has the filter safe; there are: "),
        ("{% if name is odd_one %}x{% endif %}", "line 1 has the test odd_one, which there is not"),
        ("{{ 1 / 0 }}", "a value does not fit the template (ZeroDivisionError)"),
        ("{{ name + 1 }}", "a value does not fit the template (TypeError)"),
    ],
)
def test_mistake_is_named_by_its_value_or_its_line(source: str, says: str) -> None:
    assert why(source).startswith(says)


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ("{% for a in name %}{{ a }}{% endfor %}", "a loop"),
        ("{% macro a() %}{% endmacro %}", "a macro"),
        ("{{ name() }}", "a call"),
        ("{{ range(9) }}", "a call"),
        ("{{ name.upper }}", "a part of a value"),
        ("{{ ''.__class__.__mro__ }}", "a part of a value"),
        ("{{ name['__class__'] }}", "a part of a value"),
        ("{{ name[:3] }}", "a part of a value"),
        ("{% set a = 1 %}", "an assignment"),
        ("{% set a %}x{% endset %}", "{% assignblock %}"),
        ("{% include 'x' %}", "{% include %}"),
        ("{% extends 'x' %}", "{% extends %}"),
        ("{% import 'x' as a %}", "{% import %}"),
        ("{% block a %}{% endblock %}", "{% block %}"),
        ("{% filter upper %}x{% endfilter %}", "{% filterblock %}"),
        ("{{ 2 ** 3 }}", "a power"),
        ("{{ '%s' % name }}", "{% mod %}"),
        ("{{ {'a': 1} }}", "{% dict %}"),
        ("{{ self }}", "self"),
    ],
)
def test_what_is_no_text_value_or_condition_is_refused_with_its_line(
    source: str, what: str
) -> None:
    """When the template comes, not when it is sent."""
    said = why(f"first\nsecond {source}")
    assert said.startswith(f"line 2 has {what}")
    for text in (Text(text=source), Text(text="-", html=source), Text(text="-", subject=source)):
        with pytest.raises(RenderError, match=r"^line 1 has "):
            check_template(text)


def test_checking_a_good_template_needs_no_values() -> None:
    check_template(Text(subject="{{ a }}", text="{% if b %}{{ c }}{% endif %}", html="{{ d|e }}"))


@pytest.mark.parametrize("source", ["{{ " + "9" * 5000 + " }}", "{{ " + "(" * 5000, "{{" * 9000])
def test_template_that_python_cannot_read_is_refused_when_it_comes(source: str) -> None:
    with pytest.raises(RenderError):
        check_template(Text(text=source))


@pytest.mark.parametrize(
    "source",
    [
        "{{ secret + 1 }}",
        "{{ secret|round }}",
        "{{ secret|truncate(1, true, secret) }}",
        "{{ secret * 3 }}",
        "{{ 1|round(2, secret) }}",
        "{{ secret|int(default=secret) + 1 }}",
        "{{ 1 is divisibleby(secret) }}",
        "{{ secret|replace('', secret * 2) }}",
    ],
)
def test_no_value_is_in_an_error(source: str) -> None:
    """Errors are kept in the ledger and logged."""
    assert "hunter2" not in why(source)


def test_constant_that_cannot_be_sent_fails_here_and_not_in_its_batch() -> None:
    """Half a surrogate pair has no encoding."""
    assert why("{{ '\\ud800' }}") == "a value does not fit the template (UnicodeEncodeError)"


def test_bad_render_leaves_the_next_one_alone() -> None:
    source = "{{ a * 2 }} {{ b|default('') }}"
    assert filled(source, a=2) == "4 "
    assert "texts" in why(source, a="x")
    assert filled(source, a=3, b="y") == "6 y"
    assert filled(source, a=2) == "4 "


def test_output_is_counted_and_capped() -> None:
    one = "{{ a }}" * (MAX_OUTPUT // 2000)
    assert len(filled(one, a="x" * 2000)) == MAX_OUTPUT
    assert why(one + "y", a="x" * 2000) == "the text is longer than 200,000 characters"


ATTACKS = {
    "repetition": "{{ 'a' * 10**9 }}",
    "repetition of a value": "{{ a * 1000000000 }}",
    "repetition of a list": "{{ [a] * 1000000000 }}",
    "joined": "{{ 'a' * 1000 ~ 'a' * 1000 }}",
    "joined often": "{{ " + "a ~ " * 20_000 + "a }}",
    "added": "{{ " + "a + " * 20_000 + "a }}",
    "product": "{{ " + "999999999 * " * 5_000 + "9 }}",
    "power of ten in round": "{{ 1.5|round(999999999, 'ceil') }}",
    "negative power in round": "{{ 1.5|round(-999999999, 'floor') }}",
    "replace grows": "{{ a" + "|replace('x', 'xxxxxxxxxx')" * 25 + " }}",
    "replace nothing": "{{ [" + "a|replace('', a)," * 5_000 + "]|length }}",
    "a list of long values": "{{ [" + "b|replace('', b)," * 1_200 + "]|length }}",
    "escaped again and again": "{{ a" + "|forceescape" * 8_000 + " }}",
    "quoted again and again": "".join("{{ a" + "|urlencode" * 25 + " }}" for _ in range(180)),
    "deep": "{{ " + "(" * 40_000 + "1" + ")" * 40_000 + " }}",
    "deep list": "{{ " + "[" * 40_000 + "]" * 40_000 + " }}",
    "deep not": "{{ " + "not " * 24_000 + "1 }}",
    "deep filters": "{{ a" + "|e" * 200 + " }}",
    "deep conditions": "{% if 1 %}" * 4_500 + "{% endif %}" * 4_500,
    "many conditions": "{% if a %}" + "{% elif a %}" * 8_000 + "{% endif %}",
    "many values": "{{a}}" * 20_000,
    "many comparisons": "{{ a " + "== a " * 19_000 + "}}",
    "long number": "{{ " + "9" * 90_000 + " }}",
    "number in base 32": "{{ (a|replace('x', 'vvvvvvvvvv'))|int(0, 32) }}",
    "open comments": "{#" * 50_000,
    "open blocks": "{% raw %}" * 11_000,
    "open quotes": "{{ '" * 25_000,
    "open braces": "{" * 100_000,
    "spaces": "{%" + " " * 99_000,
}
IN_A_PROCESS = """
import json, resource, sys
from domain.template import Text
from workers.rendering import MAX_OUTPUT, RenderError, render

megabytes = 2**20
resource.setrlimit(resource.RLIMIT_AS, (512 * megabytes, 512 * megabytes))
for name, source in json.load(sys.stdin).items():
    used = int(sum(resource.getrusage(resource.RUSAGE_SELF)[:2]))
    resource.setrlimit(resource.RLIMIT_CPU, (used + 5, resource.RLIM_INFINITY))
    print(name, flush=True)
    try:
        assert len(render(Text(text=source), {"a": "x" * 2000, "b": "x" * 140}).text) <= MAX_OUTPUT
    except RenderError as error:
        assert "MemoryError" not in str(error)
print("all of them")
"""


def test_every_attack_is_over_within_bounded_work() -> None:
    """In a process of its own that is given 5 s of processor time for each, and 512 MB."""
    ran = subprocess.run(
        [sys.executable, "-c", IN_A_PROCESS],
        input=json.dumps(ATTACKS).encode(),
        capture_output=True,
        check=False,
    )
    assert ran.stdout.splitlines()[-1] == b"all of them", (ran.stdout, ran.stderr[-500:])


PIECES = st.sampled_from(
    [
        *("{{ ", " }}", "{% ", " %}", "{% if ", "{% endif %}", "{% else %}", "{#", "#}", "{%-"),
        *("a", "b", "c", "'x'", "7", "1.5", "|", "|e", "|upper", "|default('')", "|round", "|int"),
        *("|replace('', a)", "|truncate(3)", "|urlencode", "(", ")", "[", "]", "~", "*", "+", "-"),
        *(
            "/",
            "//",
            "**",
            "==",
            "<",
            " in ",
            " is ",
            " is defined",
            " not ",
            " and ",
            ",",
            ".",
            ":",
        ),
        *("{% for x in a %}", "{% endfor %}", "{% raw %}", "{% endraw %}", "self", "\n", " ", "é"),
    ]
)


@given(st.lists(PIECES, max_size=25).map("".join) | st.text(max_size=80))
@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow])
def test_arbitrary_template_is_rendered_within_the_cap_or_refused(source: str) -> None:
    if not source:
        return
    values = {"a": "x" * 2000, "b": -3, "c": True}
    text = Text(text=source, subject=source, html=source)
    with contextlib.suppress(RenderError):
        rendered = render(text, values)
        assert all(len(part or "") <= MAX_OUTPUT for part in rendered)
        check_template(text)
