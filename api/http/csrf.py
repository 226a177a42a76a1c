"""Protection against requests from other sites' pages in a user's browser: ``Origin`` and ``Host`` are checked."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping

from schemas.errors import Refused

_LOOPBACK = ipaddress.ip_network("127.0.0.0/8")


def check_origin(headers: Mapping[str, str]) -> None:
    """Refuse requests from pages of other hosts (403)."""
    origin = headers.get("origin")
    if origin is not None and origin.partition("://")[2] != headers.get("host"):
        raise Refused(403, f"requests from pages of [{origin}] are not served", "security_exception")


def check_host(headers: Mapping[str, str]) -> None:
    """Refuse requests to a host name other than this machine's own (403).

    Against DNS rebinding: a domain that resolves to 127.0.0.1 makes ``Origin`` and ``Host`` of its pages agree.
    """
    host = headers.get("host")
    if host is not None and not is_loopback(host):
        raise Refused(
            403,
            f"requests to host [{host}] are not served without authentication: use 127.0.0.1 or localhost,"
            " or set RIVERWATCH_USERS to a file of users",
            "security_exception",
        )


def client_of(address: str) -> str:
    """The client behind an address, for limits: an IPv6 client has a whole /64 network.

    >>> client_of("192.0.2.7"), client_of("2001:db8::1"), client_of("2001:db8::ffff:2"), client_of("::ffff:192.0.2.7")
    ('192.0.2.7', '2001:db8::/64', '2001:db8::/64', '192.0.2.7')
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((int(parsed) >> 64 << 64, 64)))


def is_loopback(host: str) -> bool:
    """Whether a ``Host`` header, with or without a port, can only name this machine.

    >>> [is_loopback(host) for host in ("localhost:9200", "127.8.0.1", "[::1]:9200")]
    [True, True, True]
    >>> [is_loopback(host) for host in ("127.0.0.1.example.org:9200", "localhost.example.org", "[::2]", "")]
    [False, False, False, False]
    """
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0].lower()
    if name == "localhost":
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    return address in _LOOPBACK or address == ipaddress.IPv6Address("::1")
