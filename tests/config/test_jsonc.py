import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocattach.config.files import jsonc

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=12,
)
tricky_values = st.recursive(
    st.text('"\\/*,]}\n ', max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text('"\\/*,]} ', max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(values | tricky_values)
def test_plain_json_means_what_it_always_did(value: object) -> None:
    text = json.dumps(value, indent=1)

    assert jsonc.parse(text) == value
    assert json.loads(jsonc.to_json(text)) == value


@given(values | tricky_values)
def test_comments_around_everything_change_nothing(value: object) -> None:
    text = json.dumps(value, ensure_ascii=False, indent=1)
    commented = [f'/* "{{, */ {line} // "}} /* ,' for line in text.split("\n")]

    assert jsonc.parse("\n".join(commented)) == value


@pytest.mark.parametrize("number", ["9" * 5000, "-" + "9" * 5000])
def test_a_number_that_python_refuses_concerns_no_other_key(number: str) -> None:
    text = f'{{"x": {number},\n"environments": {{}}}}'

    assert jsonc.parse(text)["environments"] == {}  # type: ignore[index]
    assert jsonc.Lines(text).line(["environments"]) == 2


def test_comments_and_trailing_commas_are_allowed() -> None:
    text = '// a\n{ "url": "http://x", /* b\n */ "list": [1, 2, /* c */ ], // d\n "s": "a,] // \\" /* ", }\n// end'

    assert jsonc.parse(text) == {"url": "http://x", "list": [1, 2], "s": 'a,] // " /* '}


def test_an_error_names_the_line_of_the_original() -> None:
    with pytest.raises(ValueError, match="line 4"):
        jsonc.parse("// a\n/* b\n c */ {\n  bad\n}")


@pytest.mark.parametrize("text", ["", "{", "/*", '"', "//", "{'a': 1}", "[1 2]", '{"a": "\n"}'])
def test_what_is_no_json_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        jsonc.parse(text)


@pytest.mark.parametrize(
    "text",
    ["[" * 500_000, "// x\n" + "[" * 500_000, "/* " * 300_000, '"' * 999_999, "," * 999_999, "//" * 500_000],
)
def test_a_hostile_file_is_refused_at_once(text: str) -> None:
    begin = time.process_time()

    with pytest.raises(ValueError, match=r"."):
        jsonc.parse(text)

    assert time.process_time() - begin < 5
