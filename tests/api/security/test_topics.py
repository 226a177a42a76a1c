"""Whose roles name topics may have those read, and no others: by detectors, previews, analyses and looks at records."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from api.security.authentication import Authenticator
from api.security.users import UsersInvalid, read_users
from tests.api.conftest import AD, RunningApi, minute_records, running_api
from tests.conftest import Broker

KEYS = {"root": '["admin"]', "ada": '["maker", "sources"]', "bob": '["maker"]'}
PERMISSIONS = '["detector/*", "detectors/*", "tasks/*", "result/*"]'


def keys(roles: dict[str, str]) -> str:
    """API keys whose secrets are their names, with these roles."""
    return "".join(
        f'[api_keys.{name}]\nsecret_sha256 = "{hashlib.sha256(name.encode()).hexdigest()}"\nroles = {given}\n'
        'backend_roles = ["team"]\n'
        for name, given in roles.items()
    )


@pytest.fixture(scope="module")
def api(broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApi]:
    """Ada may have the tests' sources read, bob nothing; both may do everything else."""
    file = tmp_path_factory.mktemp("users") / "users.toml"
    file.write_text(
        "filter_by_backend_role = true\n"
        f'[roles.maker]\npermissions = {PERMISSIONS}\n[roles.sources]\ntopics = ["src-api-*"]\n{keys(KEYS)}'
    )
    with running_api(broker, users=file) as running:
        yield running


def call(api: RunningApi, who: str, method: str, path: str, body: object = None) -> tuple[int, dict[str, Any]]:
    headers = {"X-API-Key": f"{who}:{who}", "Content-Type": "application/json"}
    content = None if body is None else json.dumps(body)
    answer = api.client.request(method, AD + path, content=content, headers=headers)
    return answer.status_code, answer.json()


def looks_at(id: str, document: dict[str, object]) -> list[tuple[str, str, object]]:
    """Every request that has the topics of a detector, or of a document, looked at."""
    now = int(time.time() * 1000)
    period = {"period_start": now - 600_000, "period_end": now}
    return [
        ("POST", "/detectors", document),
        ("PUT", f"/detectors/{id}", document),
        ("POST", "/detectors/_validate", document),
        ("POST", "/detectors/_validate/model", document),
        ("POST", "/detectors/_suggest/detection_interval,history,window_delay", document),
        ("POST", "/detectors/_preview", {**period, "detector": document}),
        ("POST", f"/detectors/{id}/_preview", period),
        ("POST", "/detectors/_preview", {**period, "detector_id": id}),
        ("POST", f"/detectors/{id}/_run", period),
        ("POST", f"/detectors/{id}/_start", None),
        ("POST", f"/detectors/{id}/_start", {"start_time": period["period_start"], "end_time": now}),
    ]


@pytest.mark.parametrize(
    ("who", "indices"),
    [
        ("bob", ["{source}"]),
        ("ada", ["other-topic"]),
        ("ada", ["{source}", "other-topic"]),
        ("ada", ["*"]),
        ("ada", ["src-*"]),
        ("ada", ["nobody-made-this"]),
    ],
)
def test_topics_that_one_may_not_read_are_refused_everywhere(api: RunningApi, who: str, indices: list[str]) -> None:
    source = api.source(minute_records())
    named = [index.format(source=source) for index in indices]
    # Made by an administrator, for the team: what it reads is not for everybody in it to see.
    status, made = call(api, "root", "POST", "/detectors", api.detector(source))
    assert status == 201
    stored = api.process.catalog.detectors.get(made["_id"])
    assert stored is not None
    stored.source.update(indices=named, user={"name": "root", "backend_roles": ["team"]})
    for method, path, body in looks_at(made["_id"], api.detector(source, indices=named)):
        status, answer = call(api, who, method, path, body)
        assert (status, answer["error"]["type"]) == (403, "security_exception"), (method, path, answer)
        refused = [name for name in named if who == "bob" or name != source]
        assert f"User {who} may not read [{', '.join(refused)}]: " in answer["error"]["reason"]
    assert call(api, who, "GET", f"/detectors/{made['_id']}")[0] == 200


def test_topics_that_one_may_read_are_looked_at(api: RunningApi) -> None:
    source = api.source(minute_records())
    for who, indices in (("ada", [source]), ("ada", [source[:-1] + "*"]), ("root", [source])):
        document = api.detector(source, indices=indices)
        status, made = call(api, who, "POST", "/detectors", document)
        assert status == 201, made
        for method, path, body in looks_at(made["_id"], document)[1:]:
            status, answer = call(api, who, method, path, body)
            assert status == 200, (method, path, answer)
            if path.endswith("_start"):
                call(api, who, "POST", path.replace("_start", "_stop") + ("?historical=true" if body else ""))


def who(users: str, folder: Path, name: str) -> tuple[str, ...] | None:
    """The topics of a key in such a file of users."""
    file = folder / "users.toml"
    file.write_text(users)
    identity = asyncio.run(Authenticator(read_users(file)).identify({"x-api-key": f"{name}:{name}"}))
    return identity.topics


def test_roles_that_name_no_topics(tmp_path: Path) -> None:
    """All topics in a setup where everybody sees everything, none where teams are kept apart."""
    roles = '[roles.a]\ntopics = ["a.*", "b"]\n[roles.c]\ntopics = ["c"]\n[roles.operate]\ntopics = []\n'
    names = {"none": ["read"], "one": ["read", "a"], "two": ["a", "c"], "empty": ["operate"], "all": ["admin", "a"]}
    given = keys({name: json.dumps(each) for name, each in names.items()})
    expected = {"one": ("a.*", "b"), "two": ("a.*", "b", "c"), "empty": (), "all": None}
    for first, none in (("", None), ("filter_by_backend_role = true\n", ())):
        users = first + roles + given
        assert {name: who(users, tmp_path, name) for name in (*expected, "none")} == {**expected, "none": none}


def test_a_ready_role_with_topics_keeps_its_permissions(tmp_path: Path) -> None:
    file = tmp_path / "users.toml"
    file.write_text('[roles.read]\ntopics = ["a"]\n' + keys({"eve": '["read"]'}))
    identity = asyncio.run(Authenticator(read_users(file)).identify({"x-api-key": "eve:eve"}))
    assert (identity.may("detector/preview"), identity.may("detector/write")) == (True, False)


@pytest.mark.parametrize("text", ["[roles.a]", '[roles.a]\ntopics = ["a?"]', '[roles.a]\ntopics = [""]'])
def test_roles_that_say_nothing_or_no_topic_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "users.toml").write_text(text)
    with pytest.raises(UsersInvalid, match="role a"):
        read_users(tmp_path / "users.toml")
