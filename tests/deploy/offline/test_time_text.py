"""Times that only the command line reads: formats, zones and their names."""

from __future__ import annotations

import pytest

from deploy.offline.time_text import time_text
from schemas.errors import Refused


@pytest.mark.parametrize(
    ("pattern", "zone", "text", "read"),
    [
        (None, None, "2024-07-01T12:00:00", "2024-07-01T12:00:00"),  # workers read it
        (None, None, "2024-07-01 12:00:00 Europe/Berlin", "2024-07-01T10:00:00.000Z"),
        (None, None, "2024-01-01T12:00:00[Europe/Berlin]", "2024-01-01T11:00:00.000Z"),
        (None, None, "2024-01-01T12:00:00+02:00[Europe/Berlin]", "2024-01-01T10:00:00.000Z"),
        (None, None, "2024-01-01 12:00:00 UTC", "2024-01-01T12:00:00.000Z"),
        (None, None, "2024-01-01 12:00:00 Nowhere/Land", "2024-01-01 12:00:00 Nowhere/Land (unreadable)"),
        (None, None, "2024-01-01 12:00:00 CET", "2024-01-01 12:00:00 CET"),  # workers refuse it
        (None, None, "03/04/2024", "03/04/2024"),  # so they do this
        (None, "Europe/Berlin", "2024-07-01 12:00:00.5", "2024-07-01T10:00:00.500Z"),
        (None, "Europe/Berlin", "2024-07-01T12:00:00Z", "2024-07-01T12:00:00.000Z"),
        (None, "Europe/Berlin", "2024-10-27 02:30:00", "2024-10-27T00:30:00.000Z"),  # the first of the two
        (None, "Europe/Berlin", "1700000000000", "1700000000000"),
        (None, "Europe/Berlin", "03/04/2024", "03/04/2024 (unreadable)"),
        ("%d/%m/%Y", None, "03/04/2024", "2024-04-03T00:00:00.000Z"),
        ("%m/%d/%Y", "America/New_York", "03/04/2024", "2024-03-04T05:00:00.000Z"),
        ("%d.%m.%Y %H:%M %z", "Europe/Berlin", "05.03.2024 12:30 +0500", "2024-03-05T07:30:00.000Z"),
        ("%d/%m/%Y", None, "2024-04-03", "2024-04-03 (unreadable)"),
        ("%Y%m%d", None, "2024", "2024 (unreadable)"),
    ],
)
def test_what_is_read_and_what_is_left_to_workers(pattern: str | None, zone: str | None, text: str, read: str) -> None:
    assert time_text(pattern, zone)(text) == read


@pytest.mark.parametrize("zone", ["Berlin", "", "../etc/passwd", "Europe"])
def test_what_is_no_zone_is_refused(zone: str) -> None:
    with pytest.raises(Refused, match="is no time zone"):
        time_text(None, zone)
