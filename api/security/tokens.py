"""Bearer tokens, signed by an issuer whose keys are in a file or fetched."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jwt
import structlog

from api.security.users import BearerEntry, UsersInvalid

log = structlog.get_logger()

FETCH_SECONDS = 5
RETRY_SECONDS = 10.0
"""Pause after a failed fetch: forged tokens must not wait for 5 s each."""


class KeysUnavailable(Exception):
    """The issuer's signing keys are unavailable: a token can't be verified."""


class Tokens:
    """Verifies tokens with the issuer's keys, which are fetched once, and again for an unknown key.

    Raises ``UsersInvalid`` for an unusable file of keys.
    """

    def __init__(self, entry: BearerEntry) -> None:
        self.entry = entry
        # A separate thread: a slow issuer must delay nothing but tokens.
        self._executor = ThreadPoolExecutor(1, "tokens")
        self._key: Callable[[str], Any]
        if entry.jwks.startswith(("https://", "http://")):
            fetched = _FetchedKeys(entry.jwks, cache_keys=True, timeout=FETCH_SECONDS)
            self._key = lambda token: fetched.get_signing_key_from_jwt(token).key
        else:
            keys = _read_keys(entry.jwks)
            self._key = lambda token: keys[jwt.get_unverified_header(token).get("kid", "")].key

    async def claims(self, token: str) -> dict[str, Any]:
        """The claims of a token with valid signature, issuer, audience and times.

        Raises ``ValueError`` for an invalid one, and ``KeysUnavailable``.
        """
        return await asyncio.get_running_loop().run_in_executor(self._executor, self._claims, token)

    def _claims(self, token: str) -> dict[str, Any]:
        try:
            return jwt.decode(
                token,
                self._key(token),
                algorithms=list(self.entry.algorithms),
                issuer=self.entry.issuer,
                audience=self.entry.audience,
                options={"require": ["exp", "iss"], "verify_aud": self.entry.audience is not None},
            )
        except KeyError:
            raise ValueError("its key is unknown") from None
        except jwt.PyJWKClientConnectionError as error:
            raise KeysUnavailable from error
        except (jwt.PyJWTError, RecursionError) as error:  # a token's JSON may be nested too deeply
            raise ValueError(str(error)) from None


class _FetchedKeys(jwt.PyJWKClient):
    _retry_at = 0.0

    def fetch_data(self) -> Any:
        if time.monotonic() < self._retry_at:
            raise jwt.PyJWKClientConnectionError("the last fetch has just failed")
        try:
            return super().fetch_data()
        except (jwt.PyJWTError, ValueError, OSError) as error:
            self._retry_at = time.monotonic() + RETRY_SECONDS
            log.warning("the keys of the token issuer cannot be fetched", address=self.uri, error=str(error))
            raise jwt.PyJWKClientConnectionError(str(error)) from error


def _read_keys(path: str) -> jwt.PyJWKSet:
    try:
        return jwt.PyJWKSet.from_json(Path(path).expanduser().read_text())
    except (OSError, ValueError, TypeError, LookupError, AttributeError, jwt.PyJWTError) as error:
        raise UsersInvalid(f"[bearer] jwks = {path!r} is not a file with a JSON Web Key Set: {error}") from error
