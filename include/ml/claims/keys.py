"""Keyed hashes that stand for patients and families outside the raw zone (UU PDP, Law 27/2022)."""

from __future__ import annotations

import hmac
from collections.abc import Iterable

import pyarrow as pa
from pydantic import SecretStr

KEY_HEX_DIGITS = 32  # 128 bits of HMAC-SHA256; RFC 2104 allows truncation to half the hash


def keyed_hash(secret: SecretStr, kind: str, number: str) -> str:
    """Return the key of a participant or family number.

    Args:
        secret: the deployment's secret.
        kind: `patient` or `family`; keeps the two apart when their numbers coincide.
        number: the number as the raw file has it; blanks around it and a trailing `.0` do not matter.
    """
    message = f"{kind}:{number.strip().removesuffix('.0')}".encode()
    return hmac.digest(secret.get_secret_value().encode(), message, "sha256").hex()[:KEY_HEX_DIGITS]


def key_table(secret: SecretStr, kind: str, numbers: Iterable[str]) -> pa.Table:
    """Return a table (`number`, `<kind>_key`) for distinct raw numbers."""
    listed = list(numbers)
    keys = [keyed_hash(secret, kind, number) for number in listed]
    return pa.table({"number": pa.array(listed, pa.string()), f"{kind}_key": pa.array(keys, pa.string())})
