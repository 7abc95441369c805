"""Declared shapes: JSON in any encoding that fits comes out, what does not is named by its path."""

from __future__ import annotations

import json
import math
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from everybody.errors import DataError, ModelError
from everybody.typed import Id, convert, decode


class Item(msgspec.Struct):
    id: Id
    box: list[float] | None = None


class Document(msgspec.Struct):
    items: list[Item]


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(values)
def test_any_value_of_json_fits_or_is_an_error_of_ours(value: Any) -> None:
    text = json.dumps({"items": value}).encode()
    said = ""
    try:
        assert isinstance(decode(text, Document, "x.json"), Document)
    except DataError as error:
        said = str(error)
    assert not said or (said.startswith("x.json: ") and "\n" not in said)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_byte_order_mark_changes_nothing(encoding: str) -> None:
    text = ' \n{"items": [{"id": "ä", "box": [1, 2.5]}]}'.encode(encoding)
    assert decode(text, Document, "x").items == [Item("ä", [1.0, 2.5])]


def test_what_does_not_fit_is_named_by_its_path_in_words() -> None:
    text = b'{"items": [{"id": 1}, {"id": 2, "box": [1, "x"]}]}'
    with pytest.raises(DataError, match=r"^x: \$\.items\[1\]\.box\[1\]: expected a number, got te"):
        decode(text, Document, "x")
    with pytest.raises(ModelError, match=r"\$\.items: expected a list, got a whole number"):
        convert({"items": 7}, Document, "m.toml", ModelError)


def test_numbers_that_json_lacks_are_read_and_those_that_no_float_holds_are_not() -> None:
    read = decode(b'{"items": [{"id": 1, "box": [NaN, -Infinity]}]}', Document, "x").items[0].box
    assert read is not None
    assert math.isnan(read[0])
    assert read[1] == -math.inf
    with pytest.raises(DataError, match=r"\$\.items\[0\]\.box\[0\]: number out of range"):
        decode(b'{"items": [{"id": 1, "box": [1e999]}]}', Document, "x")


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"[" * 100_000, b'{"a": ' + b"[" * 9000, b"\xff\xfe\xff", b'{"items": "\\ud800"}'],
    ids=["empty", "cut", "deep list", "deep below", "half of UTF-16", "half a character"],
)
def test_what_is_no_json_is_an_error_of_ours(text: bytes) -> None:
    with pytest.raises(DataError, match=r"^x: "):
        decode(text, Document, "x")
