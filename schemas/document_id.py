"""The ids that Riverwatch gives to documents."""

from __future__ import annotations

import base64

ID_BYTES = 15
"""Bytes that make an id of 20 characters."""


def document_id(data: bytes) -> str:
    """The id that ``ID_BYTES`` bytes make, as OpenSearch's ids look: 20 characters that fit into a path.

    None begins with a dash, which a command line would take for an option.

    >>> document_id(bytes(range(15))), document_id(bytes([248] + [0] * 14))
    ('AAECAwQFBgcICQoLDA0O', '_AAAAAAAAAAAAAAAAAAA')
    """
    id = base64.urlsafe_b64encode(data).decode()
    return "_" + id[1:] if id.startswith("-") else id
