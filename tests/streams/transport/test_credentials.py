from __future__ import annotations

from pathlib import Path

import pytest

from streams.transport.credentials import UnknownSecurity, credentials


def test_plaintext_needs_none() -> None:
    assert credentials({}) is None


def test_sasl_in_librdkafkas_words() -> None:
    found = credentials(
        {
            "security.protocol": "sasl_ssl",
            "sasl.mechanism": "SCRAM-SHA-512",
            "sasl.username": "u",
            "sasl.password": "p",
        }
    )
    assert found is not None
    assert (found.username, found.password, found.protocol.value) == ("u", "p", "SASL_SSL")


@pytest.mark.parametrize(
    "kafka",
    [
        {"security.protocol": "TLS"},
        {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "GSSAPI"},
    ],
)
def test_what_is_not_known_is_refused_with_the_variable_to_mend(kafka: dict[str, str]) -> None:
    with pytest.raises(UnknownSecurity, match="RIVERWATCH_KAFKA_S"):
        credentials(kafka)


def test_a_missing_file_is_an_error_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(UnknownSecurity, match="TLS files"):
        credentials({"security.protocol": "SSL", "ssl.ca.location": str(tmp_path / "none.pem")})
