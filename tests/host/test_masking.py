"""What is written of a secret, in each form that programs write one in."""

from __future__ import annotations

import base64
import html
import json
import shlex
from urllib.parse import quote, quote_plus

import pytest

from mosha.host.masking import MASK, Mask

PHRASE = 'it\'s "S\\3cret/ü" & <so> 100%'

FORMS = {
    "as it is": PHRASE,
    "for a shell": shlex.quote(PHRASE),
    "for a shell in a shell": shlex.quote(shlex.quote(PHRASE)),
    "for a path of a URL": quote(PHRASE),
    "for a part of a path of a URL": quote(PHRASE, safe=""),
    "for a form": quote_plus(PHRASE),
    "for JSON": json.dumps(PHRASE)[1:-1],
    "for JSON in UTF-8": json.dumps(PHRASE, ensure_ascii=False)[1:-1],
    "as Python shows it": repr(PHRASE)[1:-1],
    "for HTML": html.escape(PHRASE),
    "for text of HTML": html.escape(PHRASE, quote=False),
    "in base64": base64.b64encode(PHRASE.encode()).decode(),
    "in base64 with its user": base64.b64encode(f"fence:{PHRASE}".encode()).decode(),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
def test_a_secret_is_masked_as_a_whole_in_each_form(form: str) -> None:
    mask = Mask([PHRASE], ["fence"])
    assert mask.of(f"with {form}, no".encode(), cut=False) == b"with ***, no"


def test_of_two_secrets_one_may_begin_with_the_other() -> None:
    mask = Mask(["abcd", "abcdefgh"])
    assert mask.of(b"abcdefgh abcd", cut=False) == b"*** ***"


@pytest.mark.parametrize(("end", "shown"), [("hun", "***"), ("hunter", "***"), ("hu", "hu")])
def test_a_text_may_end_within_a_secret(end: str, shown: str) -> None:
    assert Mask(["hunter2"]).of(f"with {end}".encode(), cut=False) == f"with {shown}".encode()


def test_a_secret_that_began_before_the_cut_and_one_across_it_are_masked() -> None:
    mask = Mask(["hunter2"])
    reach = mask.reach
    assert mask.of(b"nter2 ".ljust(reach, b".") + b"end", cut=True) == b"end"
    text = b"." * (reach - 3) + b"hunter2 end"
    assert mask.of(text, cut=True) == MASK + b" end"


def test_without_a_secret_nothing_is_masked() -> None:
    for secrets in ([], [""]):
        assert Mask(secrets).of(b"some text", cut=False) == b"some text"
