"""The API's settings: what can't be used is refused at the start, by the variable's name."""

from __future__ import annotations

from pathlib import Path

import pytest

from api.settings import ApiSettings, SettingInvalid


@pytest.mark.parametrize(
    ("variable", "text", "expected"),
    [
        ("RIVERWATCH_API_PORT", "x", "a whole number"),
        ("RIVERWATCH_API_PORT", "70000", "a whole number, 0 to 65535"),
        ("RIVERWATCH_RESULT_READERS", "0", "a whole number, above 0, at most 1000000000"),
        ("RIVERWATCH_MAX_PREVIEWS", "-1", "a whole number, 0 to 1000000000"),
        ("RIVERWATCH_REQUEST_TIMEOUT", "-1", "a number, above 0, at most 1000000000"),
        ("RIVERWATCH_RESULTS_DAYS", "inf", "a number, above 0, at most 36500"),
        ("RIVERWATCH_COMMAND_TIMEOUT", "nan", "a number, above 0"),
        ("RIVERWATCH_CHECK_SOURCES", "maybe", "true or false"),
        ("RIVERWATCH_MAX_FEATURES", "11", ".*10"),  # models have no more
    ],
)
def test_a_value_that_cannot_be_used_is_named(variable: str, text: str, expected: str) -> None:
    with pytest.raises(SettingInvalid, match=f"^{variable}=.*{text}.*: expected {expected}"):
        ApiSettings.from_environment({variable: text})


def test_limits_may_be_zero_and_the_port_may_be_free() -> None:
    settings = ApiSettings.from_environment({"RIVERWATCH_API_PORT": "0", "RIVERWATCH_MAX_PREVIEWS": "0"})
    assert (settings.port, settings.max_previews) == (0, 0)


def test_tls_is_never_left_off_because_a_part_of_it_is_missing() -> None:
    certificate, key, authority = (f"RIVERWATCH_TLS_{name}" for name in ("CERTIFICATE", "KEY", "CLIENT_CA"))
    for given in ([certificate], [key], [authority], [certificate, authority], [key, authority]):
        with pytest.raises(SettingInvalid, match="RIVERWATCH_TLS_CERTIFICATE and RIVERWATCH_TLS_KEY"):
            ApiSettings.from_environment(dict.fromkeys(given, "x.pem"))
    whole = ApiSettings.from_environment(dict.fromkeys([certificate, key, authority], "x.pem"))
    assert whole.tls_client_ca == Path("x.pem")
