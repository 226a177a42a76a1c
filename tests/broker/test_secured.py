"""A Kafka with TLS and passwords: the settings reach every client of a worker."""

from __future__ import annotations

import datetime
import ipaddress
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka.admin import (
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from deploy.local_kafka.broker import HOST, LocalBroker, free_port
from tests.broker.records import points
from tests.cluster import Cluster
from tests.conftest import Broker
from tests.deadlines import REQUEST

USER, PASSWORD = "river", "a secret"
LOGIN = "org.apache.kafka.common.security"


def certificate(folder: Path) -> tuple[Path, Path]:
    """A self-signed certificate for the loopback interface: with its key for Kafka, alone for clients."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kafka")])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(HOST))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    ).public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "kafka.pem").write_bytes(private + signed)
    (folder / "ca.pem").write_bytes(signed)
    return folder / "kafka.pem", folder / "ca.pem"


class Secured:
    """A broker with a listener that asks for TLS and a password, beside the open one that the test uses."""

    def __init__(self, folder: Path) -> None:
        keys, self.ca = certificate(folder)
        port, secure, controller = free_port(), free_port(), free_port()
        self.address = f"{HOST}:{secure}"
        ours = "listener.name.secured."
        self.broker = LocalBroker(
            port,
            folder / "kafka",
            quick=True,
            heap="512m",
            properties={
                "listeners": f"PLAINTEXT://{HOST}:{port},CONTROLLER://{HOST}:{controller},SECURED://{self.address}",
                "controller.quorum.voters": f"1@{HOST}:{controller}",
                "advertised.listeners": f"PLAINTEXT://{HOST}:{port},SECURED://{self.address}",
                "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURED:SASL_SSL",
                ours + "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-512",
                ours + "plain.sasl.jaas.config": (f'{LOGIN}.plain.PlainLoginModule required user_{USER}="{PASSWORD}";'),
                ours + "scram-sha-512.sasl.jaas.config": f"{LOGIN}.scram.ScramLoginModule required;",
                ours + "ssl.keystore.type": "PEM",
                ours + "ssl.keystore.location": keys,
            },
        )


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """A running one, which knows the user."""
    secured = Secured(tmp_path_factory.mktemp("secured"))
    with secured.broker:
        admin = Broker(secured.broker.bootstrap).admin()
        info = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096)
        upsertion = UserScramCredentialUpsertion(USER, info, PASSWORD.encode())
        admin.alter_user_scram_credentials([upsertion])[USER].result(REQUEST)
        yield secured


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-512"])
def test_a_worker_reads_and_writes_over_tls_with_a_password(secured: Secured, mechanism: str) -> None:
    prefix, topic = f"{mechanism.lower()}-{uuid.uuid4().hex[:6]}.", f"metrics-{mechanism.lower()}"
    Broker(secured.broker.bootstrap).create_topic(topic)
    with Cluster(
        secured.broker.bootstrap,
        prefix,
        brokers=secured.address,
        kafka_security_protocol="SASL_SSL",
        kafka_sasl_mechanism=mechanism,
        kafka_sasl_username=USER,
        kafka_sasl_password=PASSWORD,
        kafka_ssl_ca_location=secured.ca,
    ) as cluster:
        worker = cluster.start_worker()
        detector = cluster.create(topic)
        cluster.start(detector)
        cluster.produce(topic, points(range(4)))
        assert len(cluster.results(detector, 3)) >= 3
        assert worker.stop() == 0


def test_a_worker_with_a_wrong_password_waits_and_says_so(secured: Secured) -> None:
    with Cluster(
        secured.broker.bootstrap,
        f"wrong-{uuid.uuid4().hex[:6]}.",
        brokers=secured.address,
        kafka_security_protocol="SASL_SSL",
        kafka_sasl_mechanism="PLAIN",
        kafka_sasl_username=USER,
        kafka_sasl_password="not it",
        kafka_ssl_ca_location=secured.ca,
    ) as cluster:
        worker = cluster.start_worker(wait=False)
        worker.wait_for("Authentication failed")
        assert worker.alive()
        assert worker.stop() == 0
