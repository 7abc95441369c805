"""What is printed is one line that no terminal obeys, whatever names are in it."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everybody.errors import EverybodyError, InputError
from everybody.media.read import read
from everybody.messages import clean


@given(st.text())
def test_cleaned_text_is_one_line_without_control_characters(text: str) -> None:
    shown = clean(text)
    assert shown.isprintable() or not any(unicodedata.category(c) in ("Cc", "Cs") for c in shown)
    assert len(shown.splitlines()) <= 1
    assert clean(shown) == shown


def test_what_is_harmless_stays() -> None:
    for text in ("", "C:\\films\\a.mp4", "été – 10:30.mp4", "写真 😀", "it's 100 %"):
        assert clean(text) == text


def test_escapes_are_shown_as_such() -> None:
    assert clean("a\x1b[2Jb\nc\rd\x9b\u202e\udcff") == "a\\x1b[2Jb\\nc\\rd\\x9b\\u202e\\udcff"


def test_errors_are_clean() -> None:
    assert str(EverybodyError("a\nb")) == "a\\nb"
    with pytest.raises(InputError) as caught:
        list(read("no\x1b]0;such\nfile.png"))
    assert str(caught.value).startswith("no\\x1b]0;such\\nfile.png: no such file")
