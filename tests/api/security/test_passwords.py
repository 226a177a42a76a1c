"""Passwords are checked in turn, take as long whoever is named, and keep nobody waiting who shows none."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import socket
from collections import deque
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from argon2 import PasswordHasher, extract_parameters
from hypothesis import given
from hypothesis import strategies as st

from api.security.passwords import Passwords
from api.security.turns import Turns
from schemas.errors import Refused
from tests.api.conftest import AD, RunningApi, running_api
from tests.conftest import Broker
from tests.deadlines import EVENT

SLOW = PasswordHasher(time_cost=4)
FAST = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
GUESSES = 300
WAITING = 4


@pytest.fixture(scope="module")
def api(broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApi]:
    """A user whose password is slow to check, and an API key."""
    file = tmp_path_factory.mktemp("users") / "users.toml"
    file.write_text(f"""
[users.anna]
password = "{SLOW.hash("anna")}"
roles = ["read"]
[api_keys.ci]
secret_sha256 = "{hashlib.sha256(b"ci").hexdigest()}"
roles = ["read"]
""")
    with running_api(broker, users=file, passwords_waiting=WAITING, max_concurrent_requests=20) as running:
        yield running


def basic(name: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


def guess(api: RunningApi, number: int) -> socket.socket:
    """A connection on which a wrong password was sent."""
    address = urlsplit(api.url)
    connection = socket.create_connection((address.hostname or "", address.port or 0), timeout=EVENT)
    (authorization,) = basic("anna", f"guess-{number}").values()
    lines = [f"GET {AD}/detectors/count HTTP/1.1", "Host: x", f"Authorization: {authorization}", "", ""]
    connection.sendall("\r\n".join(lines).encode())
    return connection


def test_whoever_guesses_passwords_keeps_nobody_else_out(api: RunningApi) -> None:
    anna, key = basic("anna", "anna"), {"X-API-Key": "ci:ci"}
    path = AD + "/detectors/count"
    assert api.client.get(path, headers=anna).status_code == 200
    guesses = [guess(api, number) for number in range(GUESSES)]
    for _ in range(8):
        assert api.client.get(path, headers=key).status_code == 200
        assert api.client.get(path, headers=anna).status_code == 200  # her password was right a moment ago
        assert api.client.get("/_health").status_code == 200
    answers = [connection.recv(20).split()[1] for connection in guesses]
    for connection in guesses:
        connection.close()
    assert set(answers) == {b"401", b"429"}
    assert answers.count(b"401") < GUESSES // 2


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.booleans()), max_size=60))
def test_clients_take_turns(steps: list[tuple[str, bool]]) -> None:
    """Each client's in their order, at most three waiting; nobody who waits is passed over twice by another."""
    turns: Turns[tuple[str, int]] = Turns(3)
    waiting: dict[str, deque[int]] = {client: deque() for client in "abcd"}
    passed: dict[str, dict[str, int]] = {client: {} for client in "abcd"}
    for number, (client, more) in enumerate(steps):
        if more:
            assert turns.add(client, (client, number)) == (len(waiting[client]) < 3)
            if len(waiting[client]) < 3:
                waiting[client].append(number)
            continue
        job = turns.next()
        assert (job is None) == (not any(waiting.values()))
        if job is None:
            continue
        whose, at = job
        assert waiting[whose].popleft() == at
        passed[whose] = {}
        for other in "abcd":
            if other != whose and waiting[other]:
                passed[other][whose] = passed[other].get(whose, 0) + 1
                assert passed[other][whose] <= 1


def test_what_a_wrong_password_costs_does_not_tell_who_there_is() -> None:
    hashes = {
        "cheap": FAST.hash("a"),
        "costly": PasswordHasher(time_cost=2, memory_cost=1024).hash("b"),
        "short": PasswordHasher(time_cost=1, memory_cost=64, parallelism=1, hash_len=16).hash("c"),
        "twin": FAST.hash("d"),
    }
    passwords = Passwords(hashes, 1)
    costs = {
        name: sorted(str(extract_parameters(hashed)) for hashed in passwords.hashes_tried(name))
        for name in (*hashes, "nobody", "")
    }
    assert len(set(map(tuple, costs.values()))) == 1
    assert len(costs["nobody"]) == 3
    assert passwords.hashes_tried("cheap")[0] == hashes["cheap"]


def test_only_the_right_password_is_right() -> None:
    passwords = Passwords({"a": FAST.hash("x"), "b": SLOW.hash("y")}, 8)

    async def all_at_once() -> list[bool]:
        asked = [("a", "x"), ("a", "y"), ("b", "y"), ("b", "x"), ("c", "x"), ("c", "nobody"), ("a", "x")]
        return await asyncio.gather(*(passwords.right(*each, "here") for each in asked))

    assert asyncio.run(all_at_once()) == [True, False, True, False, False, False, True]


def test_the_same_credentials_wait_once_and_what_nobody_waits_for_is_not_checked() -> None:
    passwords = Passwords({"a": FAST.hash("x")}, 1)

    async def ask() -> None:
        same = [asyncio.create_task(passwords.right("a", "x", "here")) for _ in range(20)]
        await asyncio.sleep(0)
        with pytest.raises(Refused) as refused:
            await passwords.right("a", "other", "here")
        assert refused.value.status == 429
        for task in same:
            task.cancel()
        await asyncio.gather(*same, return_exceptions=True)
        assert await passwords.right("a", "x", "there")
        assert await passwords.right("a", "x", "here")

    asyncio.run(ask())
