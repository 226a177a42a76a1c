"""Who may do what, through the API."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections.abc import Iterator
from pathlib import Path

import jwt
import pytest
from argon2 import PasswordHasher
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from structlog.testing import capture_logs

from api.http.server import check_exposure
from api.security.users import UsersInvalid, read_users
from api.settings import ApiSettings, SettingInvalid
from tests.api.conftest import RunningApi, minute_records, running_api
from tests.conftest import Broker

KEY = Ed25519PrivateKey.generate()
FAST = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)


def users_file(folder: Path) -> Path:
    """Three users, one API key, one issuer."""
    jwk = json.loads(jwt.algorithms.OKPAlgorithm.to_jwk(KEY.public_key())) | {"kid": "k1", "alg": "EdDSA"}
    (folder / "jwks.json").write_text(json.dumps({"keys": [jwk]}))
    file = folder / "users.toml"
    file.write_text(f"""
filter_by_backend_role = true
[users.root]
password = "{FAST.hash("r00t")}"
roles = ["admin"]
[users.anna]
password = "{FAST.hash("pässword:x")}"
roles = ["operate"]
backend_roles = ["team-a"]
[users.bert]
password = "{FAST.hash("b")}"
roles = ["maker"]
backend_roles = ["team-b"]
[users.carl]
password = "{FAST.hash("c")}"
roles = ["maker"]
[api_keys.ci]
secret_sha256 = "{hashlib.sha256(b"s3cret").hexdigest()}"
roles = ["read"]
[bearer]
issuer = "https://id.example"
audience = "riverwatch"
jwks = "{folder / "jwks.json"}"
backend_roles_claim = "groups"
[roles.maker]
permissions = ["detector/*", "detectors/get", "detector/info"]
topics = ["*"]
""")
    return file


def basic(name: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


def token(*, kid: str | None = "k1", **claims: object) -> str:
    standard = {"iss": "https://id.example", "aud": "riverwatch", "exp": time.time() + 3600, "sub": "tom"}
    return "Bearer " + jwt.encode({**standard, **claims}, KEY, "EdDSA", headers={} if kid is None else {"kid": kid})


ROOT, ANNA, BERT = basic("root", "r00t"), basic("anna", "pässword:x"), basic("bert", "b")


@pytest.fixture(scope="module")
def api(broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApi]:
    """An API that asks who one is."""
    users = users_file(tmp_path_factory.mktemp("users"))
    with running_api(broker, users=users) as running:
        yield running


@pytest.mark.parametrize(
    "header",
    [
        None,
        "Basic !!",
        "Basic \u00e9",
        "Basic " + base64.b64encode(b"no-colon").decode(),
        basic("anna", "wrong"),
        basic("nobody", "x"),
        "ApiKey ci:wrong",
        "ApiKey x",
        "ApiKey \u00e9",
        "ApiKey " + base64.b64encode(b"s3cret").decode(),
        "Negotiate abc",
        "Bearer x.y.z",
        token(kid=None),
        token(kid="k2"),
        token(exp=1),
        token(aud="other"),
        token(iss="https://evil.example"),
        token(sub=""),
    ],
)
def test_who_is_not_known_is_asked(api: RunningApi, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header}
    encoded = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    with capture_logs() as lines:
        answer = api.client.get("/_plugins/_anomaly_detection/detectors/count", headers=encoded)
    assert answer.status_code == 401
    (line,) = lines
    assert (line["event"], line["action"], line["log_level"]) == ("authentication refused", "detector/info", "warning")
    assert not {"s3cret", "wrong", "no-colon"} & {line.get("user"), line.get("key")}
    assert answer.headers["www-authenticate"].startswith("Basic ")
    assert answer.json()["error"]["type"] == "security_exception"


@pytest.mark.parametrize(
    "header",
    [
        ANNA,
        "ApiKey ci:s3cret",
        "ApiKey " + base64.b64encode(b"ci:s3cret").decode(),
        token(roles=["read"]),
        token(roles="read other"),
    ],
)
def test_who_is_known_may_look(api: RunningApi, header: str) -> None:
    path = "/_plugins/_anomaly_detection/detectors/count"
    assert api.client.get(path, headers={"Authorization": header}).status_code == 200
    elsewhere = {"Authorization": header, "Host": "ad.example.org", "Origin": "https://ad.example.org"}
    assert api.client.get(path, headers=elsewhere).status_code == 200
    refused = api.client.post("/_plugins/_anomaly_detection/detectors", headers={"Authorization": header})
    assert refused.status_code == 403
    start = "no permissions for [cluster:admin/opendistro/ad/detector/write] and User [name="
    assert refused.json()["error"]["reason"].startswith(start)


def test_the_user_is_recorded_and_decides_what_is_seen(api: RunningApi) -> None:
    def call(who: str, method: str, path: str, body: object = None) -> tuple[int, dict[str, object]]:
        content = None if body is None else json.dumps(body)
        headers = {"Authorization": who, "Content-Type": "application/json"}
        answer = api.client.request(method, "/_plugins/_anomaly_detection" + path, content=content, headers=headers)
        return answer.status_code, answer.json()

    source = api.source(minute_records())
    status, created = call(BERT, "POST", "/detectors", api.detector(source))
    assert status == 201
    path = f"/detectors/{created['_id']}"
    owner = created["anomaly_detector"]["user"]  # type: ignore[index]
    assert (owner["name"], owner["backend_roles"]) == ("bert", ["team-b"])
    assert call(BERT, "GET", path)[0] == 200
    assert call(ROOT, "GET", path)[0] == 200
    for method, tail in [("GET", ""), ("POST", "/_start"), ("POST", "/_stop")]:
        status, answer = call(ANNA, method, path + tail)
        assert status == 403
        assert answer["error"]["reason"] == f"User does not have permissions to access config: {created['_id']}"  # type: ignore[index]


def test_who_could_not_see_a_detector_of_their_own_makes_none(api: RunningApi) -> None:
    before = len(api.process.catalog.detectors)
    body = json.dumps(api.detector(api.source(minute_records())))
    headers = {"Authorization": basic("carl", "c"), "Content-Type": "application/json"}
    answer = api.client.post("/_plugins/_anomaly_detection/detectors", content=body, headers=headers)
    assert answer.status_code == 403
    assert "User carl does not have backend roles configured" in answer.json()["error"]["reason"]
    assert len(api.process.catalog.detectors) == before


def test_without_users_only_this_machine_can_ask(tmp_path: Path) -> None:
    check_exposure(ApiSettings(host="127.0.0.1"))
    check_exposure(ApiSettings(host="::1"))
    check_exposure(ApiSettings(host="0.0.0.0", users=users_file(tmp_path)))
    for host in ("0.0.0.0", "::", "192.0.2.7", "example.org"):
        with pytest.raises(SettingInvalid, match="RIVERWATCH_USERS"):
            check_exposure(ApiSettings(host=host))


@pytest.mark.parametrize(
    "text",
    [
        "[users.a]\npassword = 'plain'\nroles = []",
        "[users.a]\nroles = []",
        "[users.a]\npassword = '$argon2id$v=19$m=64,t=3,p=4$YWJj$\u00e9'\nroles = []",
        "[api_keys.a]\nsecret_sha256 = 'abc'\nroles = []",
        "[api_keys.a]\nsecret_sha256 = '" + 64 * "\u00e9" + "'\nroles = []",
        "[users.a]\npassword = '$argon2id$x'\nroles = ['nope']",
        "nonsense = 1",
        "# \u00e9 in latin-1",
        "[users",
    ],
)
def test_a_wrong_file_of_users_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "users.toml"
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(UsersInvalid, match=r"users\.toml"):
        read_users(file)
    with pytest.raises(UsersInvalid):
        read_users(tmp_path / "absent.toml")
