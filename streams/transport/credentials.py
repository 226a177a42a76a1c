"""Kafka security settings, in librdkafka's words, for Faust's client."""

from __future__ import annotations

import ssl
from collections.abc import Mapping

from faust.auth import SASLCredentials, SSLCredentials
from faust.types.auth import CredentialsT

from schemas.errors import RiverwatchError


class UnknownSecurity(RiverwatchError):
    """A security setting that can't be used."""


def credentials(kafka: Mapping[str, str]) -> CredentialsT | None:
    """What ``broker_credentials`` of a Faust app takes; None for a plaintext connection.

    Reads ``security.protocol``, ``sasl.mechanism``, ``sasl.username``, ``sasl.password``, ``ssl.ca.location``,
    ``ssl.certificate.location``, ``ssl.key.location`` and ``ssl.key.password``. Raises ``UnknownSecurity``.
    """
    protocol = kafka.get("security.protocol", "PLAINTEXT").upper()
    if protocol == "PLAINTEXT":
        return None
    if protocol not in ("SSL", "SASL_PLAINTEXT", "SASL_SSL"):
        raise UnknownSecurity(
            f"RIVERWATCH_KAFKA_SECURITY_PROTOCOL is {protocol!r}; use PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL"
        )
    context = _context(kafka) if protocol.endswith("SSL") else None
    if protocol == "SSL":
        return SSLCredentials(context)
    mechanism = kafka.get("sasl.mechanism", kafka.get("sasl.mechanisms", "PLAIN")).upper()
    if mechanism not in ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"):
        raise UnknownSecurity(
            f"RIVERWATCH_KAFKA_SASL_MECHANISM is {mechanism!r}; use PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512"
        )
    return SASLCredentials(
        username=kafka.get("sasl.username", ""),
        password=kafka.get("sasl.password", ""),
        ssl_context=context,
        mechanism=mechanism,
    )


def _context(kafka: Mapping[str, str]) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=kafka.get("ssl.ca.location"))
        if certificate := kafka.get("ssl.certificate.location"):
            context.load_cert_chain(certificate, kafka.get("ssl.key.location"), kafka.get("ssl.key.password"))
    except (OSError, ssl.SSLError) as error:
        raise UnknownSecurity(f"Kafka's TLS files can't be read: {error}") from error
    return context
