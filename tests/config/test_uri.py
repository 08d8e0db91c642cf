import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ocattach.config.targets.base import Target
from ocattach.config.targets.container import DockerTarget, PodmanTarget
from ocattach.config.targets.http import HTTPTarget
from ocattach.config.targets.kubernetes import KubernetesTarget
from ocattach.config.targets.local import LocalTarget
from ocattach.config.targets.ssh import SSHTarget
from ocattach.config.targets.uri import ParsedURI, is_uri, parse_uri
from ocattach.errors import InvalidURIError
from tests.config.strategies import targets, workdirs

MEANINGS: list[tuple[str, Target, str | None]] = [
    ("docker://frontend-app", DockerTarget(container="frontend-app"), None),
    ("docker://frontend-app:/app", DockerTarget(container="frontend-app"), "/app"),
    ("docker://c:~/app", DockerTarget(container="c"), "~/app"),
    ("docker://c:/my%20app", DockerTarget(container="c"), "/my app"),
    ("docker://root@c:/a@b", DockerTarget(container="c", user="root"), "/a@b"),
    ("docker://1000%3A1000@c", DockerTarget(container="c", user="1000:1000"), None),
    (
        "docker://compose/shop/api:/srv",
        DockerTarget(compose_project="shop", compose_service="api"),
        "/srv",
    ),
    ("docker://compose", DockerTarget(container="compose"), None),
    ("docker://devcontainer", DockerTarget(container="devcontainer"), None),
    ("docker://devcontainer/src/shop", DockerTarget(devcontainer="/src/shop"), None),
    ("docker://devcontainer//src/shop:/app", DockerTarget(devcontainer="/src/shop"), "/app"),
    ("docker://me@devcontainer/my%20app%3A2", DockerTarget(devcontainer="/my app:2", user="me"), None),
    ("podman://devcontainer/.", PodmanTarget(devcontainer="."), None),
    ("podman://devcontainer/../www:~", PodmanTarget(devcontainer="../www"), "~"),
    ("podman://devcontainer/~/shop", PodmanTarget(devcontainer="~/shop"), None),
    ("docker://devcontainer//~/shop", DockerTarget(devcontainer="/~/shop"), None),
    ("docker://c?context=remote", DockerTarget(container="c", context="remote"), None),
    ("DOCKER://c", DockerTarget(container="c"), None),
    ("podman://www", PodmanTarget(container="www"), None),
    (
        "ssh://deploy@staging.example.com:2222/var/www/app",
        SSHTarget("staging.example.com", user="deploy", port=2222),
        "/var/www/app",
    ),
    ("ssh://staging", SSHTarget("staging"), None),
    ("ssh://staging/", SSHTarget("staging"), "/"),
    ("ssh://staging:/var/www/app", SSHTarget("staging"), "/var/www/app"),
    ("ssh://staging:~/app", SSHTarget("staging"), "~/app"),
    ("ssh://staging/~/app", SSHTarget("staging"), "~/app"),
    ("ssh://staging/~", SSHTarget("staging"), "~"),
    ("ssh://staging/%7E/app", SSHTarget("staging"), "/~/app"),
    ("ssh://[::1]:2222/x", SSHTarget("::1", port=2222), "/x"),
    ("ssh://me@corp@host", SSHTarget("host", user="me@corp"), None),
    ("ssh://h?jump=bastion", SSHTarget("h", jump="bastion"), None),
    ("k8s://pod-name?namespace=default", KubernetesTarget(pod="pod-name", namespace="default"), None),
    ("k8s://deployment/api", KubernetesTarget(deployment="api"), None),
    ("k8s://statefulset/db:/data", KubernetesTarget(statefulset="db"), "/data"),
    (
        "k8s://selector/app.kubernetes.io/name=www",
        KubernetesTarget(selector="app.kubernetes.io/name=www"),
        None,
    ),
    (
        "k8s://www?context=arn:aws:eks:eu:1:cluster/dev&container=app",
        KubernetesTarget(pod="www", context="arn:aws:eks:eu:1:cluster/dev", container="app"),
        None,
    ),
    ("http://localhost:4096", HTTPTarget("http://localhost:4096"), None),
    ("http://me@Localhost:4096/", HTTPTarget("http://localhost:4096", username="me"), None),
    ("https://oc.example.com/base?workdir=/app", HTTPTarget("https://oc.example.com/base"), "/app"),
    ("local://", LocalTarget(), None),
    ("local:///abs/dir", LocalTarget(), "/abs/dir"),
    ("local://~/app", LocalTarget(), "~/app"),
]


@pytest.mark.parametrize(("text", "target", "workdir"), MEANINGS)
def test_a_uri_means_an_environment_and_a_directory(text: str, target: Target, workdir: str | None) -> None:
    assert parse_uri(text) == ParsedURI(target, workdir)


@given(targets, st.none() | workdirs)
@example(SSHTarget("h"), "/~/app")
@example(SSHTarget("h"), "~/app")
@example(LocalTarget(), "/~/app")
def test_what_is_formatted_is_parsed_to_the_same(target: Target, workdir: str | None) -> None:
    assert parse_uri(target.uri(workdir)) == ParsedURI(target, workdir)


schemes = st.sampled_from(["docker", "podman", "ssh", "k8s", "http", "https", "local", "ftp"])
near_uris = st.builds("{}://{}".format, schemes, st.text("ab-/:@?#=&%~[]1é \n\0\u202e.", max_size=20))


@given(
    st.one_of(near_uris, st.text(), schemes.flatmap(lambda scheme: st.text().map(f"{scheme}://{{}}".format)))
)
@example("docker://\udce9")
@example("ssh://[::1")
@example("http://[:]:1")
def test_any_text_is_a_uri_or_an_invalid_one(text: str) -> None:
    try:
        parsed = parse_uri(text)
    except InvalidURIError as error:
        assert error.message  # noqa: PT017 - either outcome is right
    else:
        assert parse_uri(parsed.target.uri(parsed.workdir)) == parsed


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("docker://", "container is empty"),
        ("docker://-v", "begins with '-'"),
        ("docker://a b", "' '"),
        ("docker://a;rm", "';'"),
        ("docker://a%0Ab", r"'\n'"),
        ("docker://a\x1b[2J", r"'\x1b'"),
        ("docker://c:", "workdir"),
        ("docker://c:app", "not absolute"),
        ("docker://c/app", "not a container name"),
        ("docker://c:/a%00b", r"'\x00'"),
        ("docker://c:/a%zz", "two hexadecimal digits"),
        ("docker://c:/a%ff", "not UTF-8"),
        ("docker://c#x", "'#'"),
        ("ssh://h/a#b", "'#'"),
        ("docker://c?context=a&context=b", "twice"),
        ("docker://c?host=tcp://h&context=a", "cannot be used together"),
        ("docker://c?host=ssh://-oProxyCommand=x", "begins with '-'"),
        ("docker://c?host=file:///etc", "not the address of an engine"),
        ("ssh://-oProxyCommand=x/y", "begins with '-'"),
        ("ssh://-oProxyCommand=x@host", "begins with '-'"),
        ("ssh://h:0/x", "not between"),
        ("ssh://h:65536", "not between"),
        ("ssh://h:99999999999999999999", "is not a port"),
        ("ssh://h:app", "is not a port"),
        ("ssh://[::1]x", "not a valid address"),
        ("ssh://[staging]", "not a valid address"),
        ("ssh://ho$(id)st", "'$'"),
        ("ssh://st\u0430ging", "\u0430"),
        ("ssh://h/~root/x", "not absolute"),
        ("ssh://h?jump=-oProxyCommand=x", "begins with '-'"),
        ("ssh://h?jump=a,`id`", "'`'"),
        ("k8s://pod/a?namespace=-x", "begins with '-'"),
        ("k8s://root@pod", "cannot have a user"),
        ("http://", "the host of url is empty"),
        ("http://user:secret@h", "password"),
        ("http://h?workdir=app", "not absolute"),
        ("local://host", "cannot have a host"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_the_reason(text: str, part: str) -> None:
    with pytest.raises(InvalidURIError) as raised:
        parse_uri(text)

    assert part in raised.value.message


@pytest.mark.parametrize(
    "text",
    ["ssh://me:hunter2@host", "docker://root:hunter2@c", "http://me:hunter2@h", "https://me:hunter2@h:1/x"],
)
def test_a_password_in_a_uri_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(InvalidURIError) as raised:
        parse_uri(text)

    assert "hunter2" not in raised.value.message + raised.value.hint


@pytest.mark.parametrize(
    ("text", "suggestion"),
    [
        ("doker://c", "docker"),
        ("dokcer://c", "docker"),
        ("htps://h", "https"),
        ("gopher://h", "podman"),
        ("k8s://p?namspace=x", "namespace"),
        ("k8s://deploymnet/api", "deployment"),
        ("docker://c/app", "docker://c:/app"),
        ("k8s://www-0/app", "k8s://www-0:/app"),
        ("local://srv", "local:///DIR"),
    ],
)
def test_a_refusal_says_what_was_probably_meant(text: str, suggestion: str) -> None:
    with pytest.raises(InvalidURIError) as raised:
        parse_uri(text)

    assert suggestion in raised.value.hint


def test_a_name_is_no_uri() -> None:
    assert is_uri("docker://c")
    assert not is_uri("frontend")
