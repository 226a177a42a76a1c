"""Kafka's jars: fetched once, checked always, repaired when damaged."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from deploy.errors import JarsUnavailable
from deploy.local_kafka.jars import PINS, Jar, cache_folder, complete, fetch_from_maven, parse_pins

CONTENTS = {"a-1.jar": b"first", "b-2.jar": b"second"}
PINNED = [
    Jar("g", "a", "1", hashlib.sha256(b"first").hexdigest()),
    Jar("g", "b", "2", hashlib.sha256(b"second").hexdigest()),
]


class Shop:
    """Serves the jars and counts; ``spoilt`` bytes are delivered first where given."""

    def __init__(self, spoilt: dict[str, list[bytes]] | None = None) -> None:
        self.fetched: list[str] = []
        self.spoilt = spoilt or {}

    def fetch(self, jar: Jar, scratch: Path) -> Path:
        self.fetched.append(jar.filename)
        scratch.mkdir()
        file = scratch / jar.filename
        spoilt = self.spoilt.get(jar.filename)
        file.write_bytes(spoilt.pop() if spoilt else CONTENTS[jar.filename])
        return file


def offline(_jar: Jar, _scratch: Path) -> Path:
    raise OSError("Network is unreachable")


def test_the_pins_are_kafka_431_and_complete() -> None:
    pins = parse_pins(PINS.read_text())
    versions = {jar.artifact: jar.version for jar in pins}
    assert versions["kafka_2.13"] == versions["kafka-clients"] == "4.3.1"
    assert all(len(jar.sha256) == 64 for jar in pins)
    assert len(versions) == len(pins)


def test_the_second_time_nothing_is_fetched(tmp_path: Path) -> None:
    shop, lines = Shop(), list[str]()
    files = complete(tmp_path, PINNED, shop.fetch, report=lines.append)
    assert [file.read_bytes() for file in files] == [b"first", b"second"]
    assert sorted(shop.fetched) == ["a-1.jar", "b-2.jar"]
    assert len(lines) == 1
    assert complete(tmp_path, PINNED, offline, report=lines.append) == files
    assert len(lines) == 1
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a-1.jar", "b-2.jar"]


def test_a_damaged_jar_is_seen_said_and_fetched_again(tmp_path: Path) -> None:
    shop, lines = Shop(), list[str]()
    complete(tmp_path, PINNED, shop.fetch, report=lines.append)
    (tmp_path / "b-2.jar").write_bytes(b"sec")
    complete(tmp_path, PINNED, shop.fetch, report=lines.append)
    assert shop.fetched[2:] == ["b-2.jar"]
    assert any("damaged" in line for line in lines)
    assert (tmp_path / "b-2.jar").read_bytes() == b"second"


def test_a_damaged_download_is_tried_again(tmp_path: Path) -> None:
    shop = Shop({"a-1.jar": [b"fir"]})
    files = complete(tmp_path, PINNED, shop.fetch, report=lambda _line: None)
    assert files[0].read_bytes() == b"first"


def test_wrong_bytes_for_good_are_refused(tmp_path: Path) -> None:
    shop = Shop({"a-1.jar": [b"evil"] * 10})
    with pytest.raises(JarsUnavailable, match="not those that Riverwatch was tested with"):
        complete(tmp_path, PINNED, shop.fetch, report=lambda _line: None)
    assert not (tmp_path / "a-1.jar").exists()


def test_no_network_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(JarsUnavailable, match="Network is unreachable") as raised:
        complete(tmp_path, PINNED, offline, report=lambda _line: None)
    for advice in ("Connect this machine", str(tmp_path), "RIVERWATCH_BROKERS"):
        assert advice in str(raised.value)


def test_a_broken_cache_without_network_is_an_error(tmp_path: Path) -> None:
    complete(tmp_path, PINNED, Shop().fetch, report=lambda _line: None)
    (tmp_path / "a-1.jar").unlink()
    with pytest.raises(JarsUnavailable, match=r"a-1\.jar"):
        complete(tmp_path, PINNED, offline, report=lambda _line: None)


def test_a_cache_folder_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(JarsUnavailable, match="XDG_CACHE_HOME"):
        complete(tmp_path / "file" / "jars", PINNED, Shop().fetch, report=lambda _line: None)


def test_the_real_fetch_without_network_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(JarsUnavailable, match="from Maven Central"):
        complete(tmp_path, PINNED[:1], fetch_from_maven, report=lambda _line: None)


def test_the_cache_folder_follows_xdg(tmp_path: Path) -> None:
    assert cache_folder({"XDG_CACHE_HOME": str(tmp_path)}) == tmp_path / "riverwatch"
    assert cache_folder({}) == Path.home() / ".cache" / "riverwatch"
