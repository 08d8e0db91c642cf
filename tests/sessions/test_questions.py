"""Which answers to an agent's question are sent, and what is read of a question."""

from collections.abc import Mapping

import pytest

from ocattach.errors import UsageError
from ocattach.opencode.pending import Question, read_request
from ocattach.sessions.answers import chosen, numbered
from tests.sessions.workshop import TWO_QUESTIONS

COLOUR: Mapping[str, object]
SIZES: Mapping[str, object]
COLOUR, SIZES = TWO_QUESTIONS


def question(*parts: object) -> Question:
    content = {"id": "que_1", "sessionID": "ses_1", "questions": list(parts)}
    read = read_request(content, "/app")
    assert isinstance(read, Question)
    return read


@pytest.mark.parametrize(
    ("asked", "labels", "sent"),
    [
        ([COLOUR], ["red"], [["red"]]),
        ([COLOUR], ["BLUE"], [["blue"]]),
        ([COLOUR], ["rather green"], [["rather green"]]),
        ([COLOUR], ["red, or blue"], [["red, or blue"]]),
        ([SIZES], ["S"], [["S"]]),
        ([SIZES], ["S", "L"], [["S", "L"]]),
        ([SIZES], ["s, l"], [["S", "L"]]),
        ([COLOUR, SIZES], ["red", "L,S"], [["red"], ["L", "S"]]),
        ([{**SIZES, "options": [{"label": "a, b"}, {"label": "c"}]}], ["a, b"], [["a, b"]]),
        ([{**COLOUR, "options": [{"label": "Yes"}, {"label": "yes"}]}], ["yes"], [["yes"]]),
    ],
)
def test_labels_are_the_answers_of_the_questions(
    asked: list[object], labels: list[str], sent: list[list[str]]
) -> None:
    assert chosen(question(*asked), labels) == sent


@pytest.mark.parametrize(
    ("asked", "labels", "words"),
    [
        ([COLOUR, SIZES], ["red"], "que_1 has 2 questions, 1 answered: Which colour? (red | blue)"),
        ([COLOUR], [], "que_1 has 1 question, 0 answered"),
        ([COLOUR], ["red", "blue"], "que_1 has 1 question, 2 answered"),
        ([{**COLOUR, "custom": False}], ["green"], "'green' is not a choice of 'Which colour?': red, blue"),
        ([COLOUR], [" "], "' ' is not a choice"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_choices(
    asked: list[object], labels: list[str], words: str
) -> None:
    with pytest.raises(UsageError) as raised:
        chosen(question(*asked), labels)

    assert words in raised.value.message
    assert "ocattach session answer que_1" in raised.value.hint


@pytest.mark.parametrize("part", [None, [], "text", {"question": 5, "options": "none"}, {"options": [1, {}]}])
def test_an_odd_question_is_still_shown(part: object) -> None:
    assert question(part, COLOUR).wanted.endswith("Which colour? (red | blue)")


@pytest.mark.parametrize("identifier", ["que_", "que_../x", "que_1;touch x", "ses_1", None, 5])
def test_a_malformed_id_is_not_a_request(identifier: object) -> None:
    assert read_request({"id": identifier, "sessionID": "ses_1", "questions": [COLOUR]}, "/app") is None


@pytest.mark.parametrize(
    ("asked", "typed", "sent"),
    [
        (COLOUR, "2", ["blue"]),
        (COLOUR, "Blue", ["blue"]),
        (COLOUR, "2 of each", ["2 of each"]),
        (SIZES, "1,2", ["S", "L"]),
        (SIZES, "2 1", ["L", "S"]),
        ({"question": "How many?"}, "42", ["42"]),
    ],
)
def test_a_typed_line_names_choices_by_their_numbers(
    asked: Mapping[str, object], typed: str, sent: list[str]
) -> None:
    request = question(asked)

    assert numbered(request, request.parts[0], typed) == sent


@pytest.mark.parametrize(
    ("asked", "typed"),
    [(COLOUR, "3"), (COLOUR, "0"), (COLOUR, "1,2"), (SIZES, "1,3"), (SIZES, "9" * 5000), (COLOUR, "")],
)
def test_numbers_of_no_choice_are_refused(asked: Mapping[str, object], typed: str) -> None:
    request = question(asked)

    with pytest.raises(UsageError):
        numbered(request, request.parts[0], typed)
