"""Where the API is, and which credentials are sent."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from deploy.api_client.settings import ClientSettings


def settings(**variables: str) -> ClientSettings:
    return ClientSettings.from_environment(
        {f"RIVERWATCH_CLIENT_{name.upper()}": value for name, value in variables.items()}
    )


def test_each_kind_of_credential_is_sent_in_its_own_way(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (settings().headers(), settings().basic(), settings().tls()) == ({}, None, True)
    assert settings(api_key="n:s").headers() == {"X-API-Key": "n:s"}
    assert settings(token="t").headers() == {"Authorization": "Bearer t"}
    assert settings(user="anna:p:w").basic() == ("anna", "p:w")
    monkeypatch.setattr(click, "prompt", lambda _text, **_options: "typed")
    assert settings(user="anna").basic() == ("anna", "typed")
    assert settings(user="").basic() is None


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"user": "a:b", "token": "t"}, "--user and --token .* exclude each other"),
        ({"url": "localhost:9200"}, "--url localhost:9200: a URL"),
        ({"ca": "/nowhere.pem"}, "--ca /nowhere.pem: there is no such file"),
    ],
)
def test_what_cannot_be_used_is_wrong_usage(variables: dict[str, str], message: str) -> None:
    with pytest.raises(click.UsageError, match=message):
        settings(**variables)


def test_a_file_that_is_no_certificate_is_wrong_usage(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("rubbish")
    with pytest.raises(click.UsageError, match="cannot be used"):
        settings(ca=str(tmp_path / "ca.pem")).tls()
