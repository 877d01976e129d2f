"""A seed from anything that names what is drawn."""

import hashlib


def seed(*parts: object) -> int:
    """A seed of 31 bits from anything that identifies what is drawn."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:4], "big") >> 1
