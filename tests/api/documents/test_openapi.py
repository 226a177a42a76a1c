"""The OpenAPI document says what the table of routes says."""

from __future__ import annotations

from api.http.routes import ROUTES
from tests.api.conftest import RunningApi


def test_every_route_is_described(api: RunningApi) -> None:
    document = api.client.get("/_openapi.json").json()
    described = {(path, method.upper()) for path, each in document["paths"].items() for method in each}
    assert described == {(next(route.paths())[1], method) for route in ROUTES for method in route.methods}
    operations = [operation for each in document["paths"].values() for operation in each.values()]
    assert len({operation["operationId"] for operation in operations}) == len(operations)


def test_the_page_needs_no_other_host(api: RunningApi) -> None:
    page = api.client.get("/_docs")
    assert page.headers["content-type"].startswith("text/html")
    assert "http://" not in page.text
    assert "https://" not in page.text
