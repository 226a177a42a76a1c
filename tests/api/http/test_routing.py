"""Literal segments win, parameters are tried next, whatever the order of registration."""

from __future__ import annotations

import pytest

from api.http.routing import Router


def router() -> Router[str]:
    made: Router[str] = Router()
    for method, path, handler in [
        ("GET", "/d/{id}", "get"),
        ("DELETE", "/d/{id}", "delete"),
        ("POST", "/d/_validate", "validate"),
        ("POST", "/d/_validate/{type}", "validate-type"),
        ("POST", "/d/{id}/_start", "start"),
        ("GET", "/{node}/stats", "node-stats"),
        ("GET", "/stats", "stats"),
    ]:
        made.add(method, path, handler)
    return made


@pytest.mark.parametrize(
    ("method", "path", "handler", "parameters"),
    [
        ("GET", "/d/1", "get", {"id": "1"}),
        ("GET", "//d//1//", "get", {"id": "1"}),
        ("POST", "/d/_validate", "validate", {}),
        ("POST", "/d/_validate/model", "validate-type", {"type": "model"}),
        ("POST", "/d/_validate/_start", "validate-type", {"type": "_start"}),
        ("POST", "/d/x/_start", "start", {"id": "x"}),
        ("GET", "/d/stats", "get", {"id": "stats"}),
        ("GET", "/n1/stats", "node-stats", {"node": "n1"}),
        ("GET", "/stats", "stats", {}),
        ("GET", "/d/%C3%A4%2F", "get", {"id": "ä/"}),
    ],
)
def test_match(method: str, path: str, handler: str, parameters: dict[str, str]) -> None:
    match = router().match(method, path)
    assert match is not None
    assert (match.handler, match.parameters) == (handler, parameters)


def test_a_literal_hides_the_parameters_other_methods() -> None:
    match = router().match("GET", "/d/_validate")
    assert match is not None
    assert (match.handler, match.allowed) == (None, ("POST",))
    assert router().match("GET", "/nope/x/y") is None


def test_twice_is_a_mistake() -> None:
    made = router()
    with pytest.raises(ValueError, match="registered twice"):
        made.add("GET", "/stats", "again")
