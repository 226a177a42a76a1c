"""Who asks over TLS: a client certificate says so as well as a header, and ``riverwatch detectors`` shows each."""

from __future__ import annotations

import datetime
import hashlib
import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from argon2 import PasswordHasher
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from api.security.users import UsersInvalid, read_users
from tests.cluster import ApiProcess, Cluster
from tests.command_line import detectors
from tests.conftest import Broker
from tests.deadlines import eventually

FAST = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
NOW = datetime.datetime.now(datetime.UTC)


@dataclass
class Authority:
    """Signs certificates and writes them to a folder, each in one file with its key."""

    folder: Path

    def __post_init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name.from_rfc4514_string("CN=test authority")
        self.file = self.folder / "ca.pem"
        self.file.write_bytes(self._signed(self._name, self._key, ca=True))

    def issue(self, subject: str, file: str) -> Path:
        """A certificate for a subject, good for 127.0.0.1, too."""
        key = ec.generate_private_key(ec.SECP256R1())
        path = self.folder / file
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        path.write_bytes(private + self._signed(x509.Name.from_rfc4514_string(subject), key, ca=False))
        return path

    def _signed(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, *, ca: bool) -> bytes:
        address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW - datetime.timedelta(days=1))
            .not_valid_after(NOW + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(address, critical=False)
        )
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Whose certificates the API takes."""
    return Authority(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def api(broker: Broker, authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiProcess]:
    """An API that wants a certificate of everybody, and to know who they are."""
    folder = tmp_path_factory.mktemp("tls")
    users = folder / "users.toml"
    users.write_text(f"""
[users.scraper]
certificate = "CN=scraper, O=Example"
roles = ["read"]
[users.anna]
password = "{FAST.hash("secret")}"
roles = ["read"]
[api_keys.ci]
secret_sha256 = "{hashlib.sha256(b"s3cret").hexdigest()}"
roles = ["read"]
""")
    server = authority.issue("CN=api", "server.pem")
    with Cluster(broker.bootstrap, "certificates.") as cluster:
        yield cluster.start_api(
            folder, users=users, tls_certificate=server, tls_key=server, tls_client_ca=authority.file
        )


@pytest.mark.parametrize(
    ("subject", "shown", "code", "said"),
    [
        ("CN=scraper,O=Example", (), 0, "NAME"),
        ("CN=scraper,O=Other", (), 11, "no user has the certificate of CN=scraper,O=Other"),
        ("CN=host", ("--user", "anna:secret"), 0, "NAME"),
        ("CN=host", ("--user", "anna:wrong"), 11, "wrong user or password"),
        ("CN=host", ("--user", "scraper:"), 11, "wrong user or password"),
        ("CN=scraper,O=Example", ("--user", "anna:wrong"), 11, "wrong user or password"),
        ("CN=host", ("--api-key", "ci:s3cret"), 0, "NAME"),
        ("CN=host", ("--api-key", "ci:other"), 11, "wrong API key"),
        ("CN=host", ("--token", "x.y.z"), 11, "authentication is required"),
    ],
)
def test_who_shows_what(
    api: ApiProcess, authority: Authority, subject: str, shown: tuple[str, ...], code: int, said: str
) -> None:
    file = authority.issue(subject, "client.pem")
    tls = ("--ca", str(authority.file), "--certificate", str(file))
    assert said in detectors(api.url, "list", *tls, *shown, code=code)


def test_the_permissions_are_those_of_the_certificates_user(api: ApiProcess, authority: Authority) -> None:
    file = authority.issue("CN=scraper,O=Example", "client.pem")
    words = ("--topic", "t", "--time", "t", "--feature", "avg:x", "--interval", "1s")
    tls = ("--ca", str(authority.file), "--certificate", str(file))
    refused = detectors(api.url, "create", *words, *tls, code=11)
    assert "no permissions for [cluster:admin/opendistro/ad/detector/write] and User [name=scraper" in refused
    # Another thread reads what the API writes.
    line = eventually("it is logged", lambda: [line for line in api.lines if "permission denied" in line])[0]
    assert "level=warning" in line
    assert "user=scraper action=detector/write" in line


def test_without_a_certificate_of_the_authority_there_is_no_connection(
    api: ApiProcess, authority: Authority, tmp_path: Path
) -> None:
    other = Authority(tmp_path).issue("CN=scraper,O=Example", "client.pem")
    for shown in ((), ("--certificate", str(other))):
        message = detectors(api.url, "list", "--ca", str(authority.file), *shown, "--user", "anna:secret", code=10)
        assert "does not answer" in message
    with pytest.raises(httpx.ConnectError, match="certificate verify failed"):
        httpx.get(api.url)


@pytest.mark.parametrize(
    "text",
    [
        "[users.a]\nroles = []",
        "[users.a]\ncertificate = 'nonsense'\nroles = []",
        "[users.a]\ncertificate = 'CN=x'\nroles = []\n[users.b]\ncertificate = 'CN=x'\nroles = []",
    ],
)
def test_a_wrong_certificate_in_the_file_of_users_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "users.toml"
    file.write_text(text)
    with pytest.raises(UsersInvalid, match=r"users\.toml"):
        read_users(file)
