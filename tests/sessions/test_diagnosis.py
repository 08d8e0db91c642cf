"""What is said to be wrong with a session, each on a real one that was made to be so."""

import inspect
import json
import re
from collections.abc import Iterator, Mapping

import pytest

from ocattach.opencode.activity import Activity, activities
from ocattach.opencode.api import DaemonClient
from ocattach.opencode.pending import Question, answer
from ocattach.opencode.sessions import SessionClient
from ocattach.sessions import diagnosis
from ocattach.sessions.answers import chosen
from ocattach.sessions.diagnosis import without_user
from ocattach.sessions.examination import Examination, examine
from tests.docs.markdown import CHECKOUT, table_rows
from tests.rigs.http_daemon import HandStartedDaemon
from tests.rigs.local import LocalMachine
from tests.rigs.opencode import CONFIG_PATH
from tests.rigs.waiting import wait_until
from tests.sessions.workshop import ASK_FOR_BASH, ASK_TWO_QUESTIONS, Workshop, workshop


@pytest.fixture(scope="module")
def here(opencode_bin: str) -> Iterator[Workshop]:  # noqa: ARG001  it is on the PATH there
    """One whose model answers."""
    with workshop() as made:
        yield made


@pytest.fixture(scope="module")
def behind_proxy(opencode_bin: str) -> Iterator[Workshop]:  # noqa: ARG001  as above
    """One whose requests go through a proxy: to the model itself, which does what it is told there, too."""

    def prepare(machine: LocalMachine) -> Mapping[str, str]:
        file = machine.home / CONFIG_PATH
        file.write_text(file.read_text().replace(f"127.0.0.1:{machine.model.port}", "models.example.invalid"))
        proxy = f"http://somebody:a-proxy-secret@127.0.0.1:{machine.model.port}/"
        return {"HTTP_PROXY": proxy, "NO_PROXY": "", "no_proxy": "", "ANOTHER_SECRET": "hush"}

    with workshop(prepare) as made:
        yield made


def codes(examination: Examination) -> list[str]:
    return [finding.code for finding in examination.findings]


def test_a_session_that_was_answered_has_nothing_wrong(here: Workshop) -> None:
    seen = here.rests(here.make("hello"))

    assert codes(seen) == []
    assert [message.text for message in seen.messages] == ["hello", "You said: hello"]
    assert dict(seen.models) == {"fake/fake-1": 1}
    assert seen.tokens == seen.messages[-1].tokens
    assert seen.tokens.total > 0
    assert seen.cost > 0


def test_calls_of_tools_and_no_word_after_them(here: Workshop) -> None:
    session = here.make("!mute !bash true")

    assert "only tool calls (bash)" in here.found(session, "only-tools").message
    assert codes(here.rests(session)) == ["only-tools"]


def test_reasoning_that_took_the_budget(here: Workshop) -> None:
    session = here.make("!reason 500")

    assert "500 tokens for reasoning, 0 for the answer" in here.found(session, "only-reasoning").message
    assert codes(here.rests(session)) == ["only-reasoning"]


def test_an_answer_that_ends_where_the_models_limit_is(here: Workshop) -> None:
    session = here.make("!cut 40")
    finding = here.found(session, "cut-off")

    assert "output limit of the model: 40 tokens" in finding.message
    assert finding.hint == f"To get the rest: ocattach session send {session.id} TEXT"
    assert codes(here.rests(session)) == ["cut-off"]


def test_no_output_and_no_text(here: Workshop) -> None:
    session = here.make("!mute")

    finding = here.found(session, "no-output")

    assert "could not be reached" in finding.message
    assert "base URL of provider fake" in finding.hint
    assert codes(here.rests(session)) == ["no-output"]


def test_no_output_where_a_proxy_is_set_names_it_without_who_uses_it(behind_proxy: Workshop) -> None:
    session = behind_proxy.make("!mute")
    finding = behind_proxy.found(session, "no-output")
    port = behind_proxy.machine.model.port

    assert f"HTTP_PROXY=http://127.0.0.1:{port}." in finding.hint
    told = json.dumps([str(each) for each in behind_proxy.rests(session).findings])
    for secret in ("somebody", "a-proxy-secret", "hush"):
        assert secret not in told


def test_a_request_of_which_not_one_token_was_counted(behind_proxy: Workshop) -> None:
    session = behind_proxy.make("!error 503")
    retrying = behind_proxy.found(session, "retrying")
    behind_proxy.abort(session)
    finding = behind_proxy.found(session, "never-arrived")

    assert "HTTP_PROXY=" in retrying.hint
    assert "no tokens were counted" in finding.message
    assert "HTTP_PROXY=" in finding.hint
    assert codes(behind_proxy.rests(session)) == ["never-arrived"]


def test_an_error_of_the_provider_with_its_words(here: Workshop) -> None:
    session = here.make("!error 401")

    assert "scripted error 401 (status 401)" in here.found(session, "provider-error").message
    assert codes(here.rests(session)) == ["provider-error"]


def test_a_request_that_is_made_again_and_when(here: Workshop) -> None:
    session = here.make("!error 500")
    finding = here.found(session, "retrying")
    situation = here.examine(session).situation
    here.abort(session)

    assert "scripted error 500" in finding.message
    assert "; next try at " in finding.message
    assert situation.activity is Activity.RETRYING
    assert situation.attempt >= 1
    assert situation.next_try > session.created


def test_something_that_waits_to_be_allowed_and_the_command_for_it(here: Workshop) -> None:
    session = here.make("!bash echo allowed", permission=ASK_FOR_BASH)
    another = here.make("!slow 60")
    finding = here.found(session, "waiting-for-permission")
    (permission,) = here.examine(session).situation.waiting

    assert finding.message == "The session waits for a permission: bash: echo allowed"
    assert finding.hint == f"ocattach session reply {permission.id} once"
    assert here.examine(another).situation.activity is Activity.BUSY
    SessionClient(here.client).reply(permission.id, {"reply": "once"}, directory=session.directory)
    assert codes(here.rests(session)) == []
    here.abort(another)


def test_a_question_is_waited_for_and_answered_by_the_command_for_it(here: Workshop) -> None:
    session = here.make(ASK_TWO_QUESTIONS)
    finding = here.found(session, "waiting-for-question")
    (question,) = here.examine(session).situation.waiting
    assert isinstance(question, Question)

    wanted = "Which colour? (red | blue); Which sizes? (S | L)"
    assert finding.message == f"The session waits for the answer to a question: {wanted}"
    assert finding.hint == f"ocattach session answer {question.id} red S"
    assert activities(here.client, session.directory)[0] == {session.id: Activity.WAITING}
    answer(here.client, question, chosen(question, ["RED", "S,L"]))
    last = here.rests(session).turns[-1].answers[-1]
    assert '"Which colour?"="red", "Which sizes?"="S, L"' in last.texts[0].words


def test_what_was_broken_off_waits_for_nobody(here: Workshop) -> None:
    session = here.make("!bash echo never", permission=ASK_FOR_BASH)
    here.found(session, "waiting-for-permission")
    here.abort(session)

    seen = here.rests(session)

    assert codes(seen) == ["aborted"]
    listed = SessionClient(here.client).pending(session.directory)
    assert session.id in {each["sessionID"] for each in listed}


def test_another_model_than_the_configured_one(here: Workshop) -> None:
    session = here.make("hello", model="fake/fake-2")

    finding = here.found(session, "wrong-model")

    assert finding.message == "fake/fake-2 answered; fake/fake-1 is configured there"
    assert finding.hint.endswith("--model fake/fake-1")
    assert codes(here.rests(session)) == ["wrong-model"]


def test_a_prompt_for_a_model_that_is_not_there(here: Workshop) -> None:
    finding = here.found(here.make("hello", model="fake/fake-3"), "unanswered")

    assert finding.message == "The prompt was not answered: the model fake/fake-3 does not exist there"


def test_a_prompt_in_a_directory_that_is_not_there(here: Workshop) -> None:
    finding = here.found(here.make("hello", directory="/no/such/place"), "unanswered")

    assert "the directory /no/such/place does not exist there" in finding.message


def test_an_answer_that_has_begun_and_that_the_daemon_does_not_work_on(here: Workshop) -> None:
    session = here.make("!slow 60")
    wait_until(
        lambda: any(message.is_answer for message in here.examine(session).messages), "the answer to begin"
    )
    assert codes(here.examine(session)) == []

    with HandStartedDaemon(here.machine) as other:
        client = DaemonClient(other.url, password=other.password, timeout=60)
        (finding,) = examine(client, session).findings
    here.abort(session)

    assert finding.code == "interrupted"


PAGE = CHECKOUT / "docs/sessions.md"


def test_the_page_explains_every_finding() -> None:
    codes = set(re.findall(r'(?:Finding\(\s*|return Finding\()"([a-z-]+)"', inspect.getsource(diagnosis)))
    rows = table_rows(PAGE, "What is wrong with a session")

    assert {code for cell, *_ in rows for code in re.findall(r"`([a-z-]+)`", cell)} - {"code"} == codes


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("http://proxy.example:3128", "http://proxy.example:3128"),
        ("http://me:secret@proxy.example:3128/", "http://proxy.example:3128"),
        ("http://me:sec/r@et@proxy.example:3128", "http://proxy.example:3128"),
        ("me:secret@proxy.example:3128", "proxy.example:3128"),
        ("https://[::1]:3128/?token=secret", "https://[::1]:3128"),
        ("", ""),
    ],
)
def test_of_a_proxy_nobody_learns_who_uses_it(value: str, shown: str) -> None:
    assert without_user(value) == shown
