from __future__ import annotations

import msgspec
import pytest

from schemas.errors import UnknownVersion
from schemas.scan import Scan, decode_scan, encode_scan

SCAN = Scan(task_id="t", detector_id="d", topic="m", partition=3, offset=5, end_offset=9, start_time=0, end_time=60_000)


def test_a_scan_reads_back() -> None:
    assert decode_scan(encode_scan(SCAN)) == SCAN


def test_what_a_newer_release_wrote_is_not_misread() -> None:
    with pytest.raises(UnknownVersion, match="version 2"):
        decode_scan(encode_scan(msgspec.structs.replace(SCAN, version=2)))
