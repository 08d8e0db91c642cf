"""Every target, directory and connection that can be meant."""

from typing import Any

from hypothesis import strategies as st

from ocattach.config.spec import ConnectionSpec
from ocattach.config.targets.base import Target
from ocattach.config.targets.container import DockerTarget, PodmanTarget
from ocattach.config.targets.http import HTTPTarget
from ocattach.config.targets.kubernetes import KubernetesTarget
from ocattach.config.targets.local import LocalTarget
from ocattach.config.targets.ssh import SSHTarget

printable = st.text(min_size=1, max_size=20).filter(str.isprintable)
words = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}", fullmatch=True)
users = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.:@+-]{0,12}", fullmatch=True)
addresses = st.one_of(
    st.ip_addresses().map(str), st.sampled_from(["::1", "fe80::1%eth0", "localhost", "staging.example.com"])
)
hosts = st.one_of(words, addresses)
ports = st.integers(1, 65535)
variables = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,12}", fullmatch=True).filter(
    lambda name: not name.startswith(("OPENCODE_", "OCATTACH_"))
)
engines = st.sampled_from(
    [
        "unix:///run/user/1000/docker.sock",
        "tcp://10.0.0.1:2375",
        "ssh://core@vm:2222/run/podman.sock",
        "tcp://[::1]:1",
    ]
)
TLS_ENGINE = {"host": "tcp://10.0.0.1:2376", "cert_path": "~/.docker/prod: 1"}
workdirs = st.one_of(
    st.just("~"),
    st.just("/~/really"),
    st.text(max_size=20).filter(str.isprintable).map("/{}".format),
    st.text(max_size=20).filter(str.isprintable).map("~/{}".format),
)
files = st.builds("{}{}".format, st.sampled_from(["/", "~/"]), printable)
selectors = printable.filter(lambda text: not text.startswith("-"))
references = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.:@/+=-]{0,20}", fullmatch=True)
url_hosts = st.sampled_from(["localhost", "127.0.0.1", "[::1]", "opencode.example.com"])
urls = st.builds(
    "{}://{}{}{}".format,
    st.sampled_from(["http", "https"]),
    url_hosts,
    st.one_of(st.just(""), ports.map(":{}".format)),
    st.sampled_from(["", "/", "/base", "/a%20b/c@d"]),
)
usernames = printable.filter(lambda name: ":" not in name)


@st.composite
def containers(draw: st.DrawFn) -> Target:
    kind = draw(st.sampled_from([DockerTarget, PodmanTarget]))
    by_engine: dict[str, Any] = draw(
        st.sampled_from([{}, {"host": draw(engines)}, {"context": draw(words)}, TLS_ENGINE]),
    )
    user = draw(st.none() | users)
    named = draw(st.sampled_from(["container", "devcontainer", "compose"]))
    if named == "container":
        return kind(container=draw(words), user=user, **by_engine)
    if named == "devcontainer":
        return kind(devcontainer=draw(printable.map("/{}".format)), user=user, **by_engine)
    return kind(compose_project=draw(words), compose_service=draw(words), user=user, **by_engine)


@st.composite
def pods(draw: st.DrawFn) -> Target:
    kind = draw(st.sampled_from(["pod", "deployment", "statefulset", "selector"]))
    return KubernetesTarget(
        **{kind: draw(selectors if kind == "selector" else words)},
        namespace=draw(st.none() | words),
        context=draw(st.none() | references),
        container=draw(st.none() | words),
    )


ssh_hosts = st.builds(
    SSHTarget,
    host=hosts,
    user=st.none() | users,
    port=st.none() | ports,
    identity_file=st.none() | files,
    jump=st.none() | st.sampled_from(["bastion", "me@bastion:2222,[::1]:22"]),
)
daemons = st.builds(HTTPTarget, url=urls, username=st.none() | usernames, password_env=st.none() | variables)
guarded_daemons = st.builds(
    HTTPTarget,
    url=urls.map(lambda url: url.replace("http:", "https:")),
    headers=st.just((("X-Key", "k"),)),
    password_command=st.just(("pass", "show", "opencode")),
    ca_file=st.none() | st.just("~/ca.pem"),
    allow_plain_password=st.booleans(),
)
"""With what has no place in a URI."""

targets = st.one_of(containers(), pods(), ssh_hosts, daemons, st.just(LocalTarget()))

specs = st.builds(
    ConnectionSpec,
    target=targets,
    workdir=st.none() | workdirs,
    daemon_port=st.none() | ports,
    opencode=st.none() | st.just("/opt/opencode/bin/opencode"),
    env=st.dictionaries(
        variables, st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
    ).map(lambda variables: tuple(variables.items())),
    unset_env=st.lists(variables, max_size=3).map(tuple),
    forward_env=st.lists(variables, max_size=3).map(tuple),
    description=st.text(max_size=30).filter(str.isprintable),
)
