"""`explain` tells what would be run, and touches nothing: no engine, no host, no other program."""

import json
import subprocess
import sys

import pytest

from tests.cli.onlooker import SECRET, Onlooker


@pytest.mark.parametrize(
    "uri",
    [
        "docker://frontend-app:/app",
        "docker://compose/shop/www",
        "podman://www",
        "ssh://deploy@127.0.0.1:{port}/var/www/app",
        "k8s://deployment/api?container=main",
        "k8s://selector/app=api",
        "http://127.0.0.1:{port}",
        "local:///tmp",
    ],
)
def test_nothing_is_touched(onlooker: Onlooker, uri: str) -> None:
    before = onlooker.files()
    ran = onlooker.run(uri.format(port=onlooker.port))

    assert ran.returncode == 0, ran.stderr
    assert "reached by" in ran.stdout
    assert "/.nope" not in ran.stdout
    onlooker.assert_untouched()
    assert before == onlooker.files()


def test_the_sockets_do_see_who_knocks(onlooker: Onlooker) -> None:
    subprocess.run(
        [sys.executable, "-m", "ocattach", "doctor", "--timeout", "1", "docker://frontend-app"],
        env=onlooker.variables,
        check=False,
        capture_output=True,
    )

    knocked, _ = onlooker.unix.accept()
    knocked.close()


@pytest.mark.parametrize(
    ("uri", "begins"),
    [
        (
            "docker://deploy@frontend-app:/app",
            "docker --host unix://{home}/engine exec -i --user deploy frontend-app sh",
        ),
        (
            "docker://compose/shop/www",
            "docker --host unix://{home}/engine compose --project-name shop exec -T www sh",
        ),
        ("ssh://deploy@staging:2222/srv", "ssh -l deploy -p 2222 staging -- sh"),
        ("k8s://deployment/api", "kubectl --context team --namespace apps exec -i deployment/api -- sh"),
        ("local:///tmp", "sh -c"),
    ],
)
def test_the_command_is_one_that_can_be_pasted(onlooker: Onlooker, uri: str, begins: str) -> None:
    ran = onlooker.run(uri)

    assert f"$ {begins.format(home=onlooker.directory)}" in ran.stdout


def test_source_hiding_and_approval_are_told(onlooker: Onlooker) -> None:
    onlooker.define({"transport": "docker", "container": "theirs"})
    file = f"{onlooker.directory}/project/.opencode/ocattach.json"
    alone = onlooker.run("team")
    onlooker.save("team", {"transport": "docker", "container": "mine"})
    hiding = json.loads(onlooker.run("team", "-o", "json").stdout)

    assert file in alone.stdout
    assert "ocattach trust team" in alone.stdout
    assert hiding["source"]["kind"] == "user"
    assert hiding["trusted"] is True
    assert [(hidden["source"]["path"], hidden["uri"].partition("?")[0]) for hidden in hiding["hides"]] == [
        (file, "docker://theirs")
    ]


def test_variables_are_named_and_their_values_are_not(onlooker: Onlooker) -> None:
    entry = {
        "transport": "docker",
        "container": "frontend-app",
        "env": {"TOKEN": SECRET},
        "forward_env": ["TEAM_KEY", "OTHER_KEY"],
        "unset_env": ["HTTP_PROXY"],
    }
    onlooker.save("mine", entry)
    people, scripts = onlooker.run("mine"), onlooker.run("mine", "-o", "json")

    assert SECRET not in people.stdout + people.stderr + scripts.stdout + scripts.stderr
    assert "TOKEN" in people.stdout
    assert "OTHER_KEY (not set here)" in people.stdout
    assert json.loads(scripts.stdout)["daemon"] == {
        "port": None,
        "opencode": None,
        "env": ["TOKEN"],
        "unset_env": ["HTTP_PROXY"],
        "forward_env": [{"name": "TEAM_KEY", "set": True}, {"name": "OTHER_KEY", "set": False}],
    }


def test_headers_are_named_and_their_values_are_not(onlooker: Onlooker) -> None:
    onlooker.save(
        "team-url", {"transport": "http", "url": "https://example.com", "headers": {"X-Key": SECRET}}
    )
    ran = onlooker.run("team-url")

    assert "X-Key" in ran.stdout
    assert SECRET not in ran.stdout + ran.stderr


def test_a_name_that_means_nothing_is_told(onlooker: Onlooker) -> None:
    assert onlooker.run("nothing").returncode == 3
