"""Schemas come from a registry once; what it does not have is refused, and one that is away is told by its address."""

from __future__ import annotations

import base64

import pytest

from streams.formats.codec import Unreadable
from streams.schema_registry.client import RegistryAway, SchemaRegistry
from tests.streams.formats.samples import SCHEMAS
from tests.streams.schema_registry.registry import serving


def test_schemas_of_every_kind_are_fetched() -> None:
    with serving(SCHEMAS) as served:
        registry = SchemaRegistry({"url": served.url})
        registry.fetch(SCHEMAS)
        assert {id: registry.known.get(id) for id in SCHEMAS} == SCHEMAS
        assert any("format=serialized" in path for path in served.asked)


def test_what_the_registry_does_not_have_is_refused() -> None:
    with serving(SCHEMAS) as served:
        registry = SchemaRegistry({"url": served.url})
        registry.fetch([99])
        with pytest.raises(Unreadable, match=f"the schema registry at {served.url} has no schema 99"):
            registry.known.get(99)


def test_without_a_registry_the_setting_is_named() -> None:
    registry = SchemaRegistry({})
    registry.fetch([7])
    with pytest.raises(Unreadable, match="written with schema 7 of a registry: RIVERWATCH_SCHEMA_REGISTRY_URL"):
        registry.known.get(7)


def test_a_registry_that_is_away_is_told_and_answers_later() -> None:
    with serving(SCHEMAS) as served:
        registry = SchemaRegistry({"url": served.url, "max.retries": "0"})
        served.away = True
        with pytest.raises(RegistryAway, match=f"the schema registry at {served.url}"):
            registry.fetch([1])
        served.away = False
        registry.fetch([1])
        assert registry.known.get(1) == SCHEMAS[1]
    gone = SchemaRegistry({"url": "http://127.0.0.1:9", "max.retries": "0"})
    with pytest.raises(RegistryAway, match="does not answer"):
        gone.fetch([1])


def test_who_asks_is_told_by_the_settings() -> None:
    with serving(SCHEMAS) as served:
        served.authorization = "Basic " + base64.b64encode(b"me:secret").decode()
        with pytest.raises(RegistryAway, match="Unauthorized"):
            SchemaRegistry({"url": served.url}).fetch([1])
        registry = SchemaRegistry({"url": served.url, "basic.auth.user.info": "me:secret"})
        registry.fetch([1])
        assert registry.known.get(1) == SCHEMAS[1]
