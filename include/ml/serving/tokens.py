"""Who may read: JSON Web Tokens (RFC 7519) signed with the secret of `CLAIMS_API_JWT_SECRET` (HMAC-SHA256)."""

from __future__ import annotations

from datetime import datetime, timedelta

import jwt

ALGORITHM = "HS256"
LEEWAY = timedelta(seconds=30)
"""How far the clock of whoever made a token may be off."""

_WHY = {
    jwt.ExpiredSignatureError: "it has expired",
    jwt.ImmatureSignatureError: "it is not valid yet",
    jwt.MissingRequiredClaimError: "it must say `sub` and `exp`",
    jwt.InvalidSignatureError: "it was signed with another secret",
    jwt.exceptions.InvalidSubjectError: "its `sub` must be text",
    jwt.InvalidIssuedAtError: "its `iat` must be a number of seconds",
}
"""In our words: what the library says repeats parts of the token."""


class TokenError(ValueError):
    """A token does not let its bearer in; the message says why, and never shows the token."""


def make_token(secret: str, subject: str, valid_for: timedelta, now: datetime) -> str:
    """Return a token for a person or program.

    Args:
        secret: what the API checks the signature with.
        subject: whose token it is; the API's log names it.
        valid_for: until when it lets in, counted from `now`.
        now: a moment with a timezone.
    """
    return jwt.encode({"sub": subject, "iat": now, "exp": now + valid_for}, secret, algorithm=ALGORITHM)


def subject_of(token: str, secret: str) -> str:
    """Return whose token it is, after its signature and dates.

    Raises:
        TokenError: it is malformed, of another secret or algorithm, expired, not yet valid, or says no subject or end.
    """
    try:
        claims = jwt.decode(
            token,
            secret,
            algorithms=[ALGORITHM],
            leeway=LEEWAY,
            options={"require": ["exp", "sub"], "verify_aud": False},
        )
    except jwt.InvalidTokenError as error:
        raise TokenError(_WHY.get(type(error), "it is malformed, or not signed with HS256")) from None
    if not str(claims["sub"]).strip():  # the access log would name nobody
        raise TokenError(_WHY[jwt.MissingRequiredClaimError])
    return str(claims["sub"])
