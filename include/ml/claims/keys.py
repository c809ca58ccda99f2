"""Keyed hashes that stand for patients outside the raw zone (UU PDP, Law 27/2022)."""

from __future__ import annotations

import hashlib

import duckdb
from pydantic import SecretStr

BLOCK_BYTES = 64  # of SHA-256: an HMAC's key is padded to it (RFC 2104)


def use_secret(connection: duckdb.DuckDBPyConnection, secret: SecretStr) -> None:
    """Let the SQL macro `keyed_hash` of this connection hash with the deployment's secret.

    Only the connection knows it: nothing of it is written to the database.
    """
    key = secret.get_secret_value().encode()
    if len(key) > BLOCK_BYTES:
        key = hashlib.sha256(key).digest()
    key = key.ljust(BLOCK_BYTES, b"\0")
    for name, pad in (("inner_pad", 0x36), ("outer_pad", 0x5C)):
        connection.execute(f"SET VARIABLE {name} = CAST($pad AS BLOB)", {"pad": bytes(byte ^ pad for byte in key)})
