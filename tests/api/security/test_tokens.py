"""Bearer tokens whose issuer's keys lie in a file or behind an address."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from api.http.errors import Challenge
from api.security.authentication import Authenticator
from api.security.users import BearerEntry, Users, UsersInvalid
from schemas.errors import Refused

KEY = Ed25519PrivateKey.generate()
JWK = json.loads(jwt.algorithms.OKPAlgorithm.to_jwk(KEY.public_key())) | {"kid": "k1", "alg": "EdDSA"}
KEYS = json.dumps({"keys": [JWK]}).encode()


def token(kid: str = "k1") -> str:
    claims = {"iss": "i", "exp": time.time() + 60, "sub": "tom"}
    return "Bearer " + jwt.encode(claims, KEY, "EdDSA", headers={"kid": kid})


def authenticator(jwks: str) -> Authenticator:
    return Authenticator(Users(bearer=BearerEntry(issuer="i", jwks=jwks)))


def name_of(checked: Authenticator, header: str) -> str:
    return asyncio.run(checked.identify({"authorization": header})).user.name


@contextmanager
def issuer(answers: list[bytes]) -> Iterator[str]:
    """Gives these answers, one after the other; an empty list is 404."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if answers else 404)
            self.end_headers()
            self.wfile.write(answers.pop(0) if answers else b"")

        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/jwks"
        server.shutdown()
        thread.join()


def test_keys_that_were_fetched_are_kept() -> None:
    with issuer([KEYS]) as address:
        checked = authenticator(address)
        assert name_of(checked, token()) == "tom"
    assert name_of(checked, token()) == "tom"
    with pytest.raises(Challenge, match="not accepted"):
        name_of(checked, token("k2"))


def test_tokens_with_keys_that_nobody_knows_do_not_ask_the_issuer_each() -> None:
    fetches = [KEYS] * 21
    with issuer(fetches) as address:
        checked = authenticator(address)
        for number in range(10):
            with pytest.raises(Challenge, match="not accepted"):
                name_of(checked, token(f"made-up-{number}"))
        assert name_of(checked, token()) == "tom"
    assert len(fetches) == 20


@pytest.mark.parametrize("answers", [[], [b"<html>"], [b"[]"], [b'{"keys": []}']])
def test_an_issuer_that_does_not_answer_is_no_fault_of_the_token(answers: list[bytes]) -> None:
    fetches = [*answers, KEYS] if answers else []
    with issuer(fetches) as address:
        checked = authenticator(address)
        for _ in range(2):  # the second time nobody is asked
            with pytest.raises(Refused) as refused:
                name_of(checked, token())
            assert refused.value.status == 503
        assert fetches == ([KEYS] if answers else [])


@pytest.mark.parametrize(
    "text", ["x", "a.b.c", base64.urlsafe_b64encode(b'{"a":' + b"[" * 30_000).decode() + ".e30.x", "\u00e9.b.c"]
)
def test_what_is_no_token_is_refused_and_nobody_asked(tmp_path: Path, text: str) -> None:
    (tmp_path / "jwks.json").write_bytes(KEYS)
    for jwks in (str(tmp_path / "jwks.json"), "http://127.0.0.1:9/never"):
        with pytest.raises(Challenge, match="not accepted"):
            name_of(authenticator(jwks), "Bearer " + text)


@pytest.mark.parametrize(
    "content", [None, b"{", b"[]", b"\xff", b'{"keys": []}', b'{"keys": [{"kty": "RSA", "n": 1}]}']
)
def test_a_file_of_keys_that_can_not_be_used_is_told(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "jwks.json"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UsersInvalid, match=r"jwks\.json"):
        authenticator(str(file))
