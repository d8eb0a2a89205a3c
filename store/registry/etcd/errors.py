"""etcd's refusals as our errors, with what is known of the effect.

Messages are those of etcd 3.4 to 3.6 (api/v3rpc/rpctypes/error.go); codes are gRPC's.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from store.core.errors import (
    ConflictError,
    DamageError,
    DrystoneError,
    FullError,
    InvalidError,
    NotFoundError,
    RetryableError,
)
from store.registry.interface import OutcomeUnknownError, UnavailableError

_CODES: Final[dict[int, type[DrystoneError]]] = {3: InvalidError, 5: NotFoundError, 9: ConflictError}
_ACCESS_CODES: Final = (7, 16)
_DATA_LOSS: Final = 15

_NO_SPACE: Final = "database space exceeded"
_COMPACTED: Final = "required revision has been compacted"
_ACCESS: Final = ("user name is empty", "invalid auth", "permission denied", "authentication")
_BEFORE_ANY_EFFECT: Final = (
    "no leader",
    "not leader",
    "not capable",
    "too many requests",
    "unhealthy cluster",
    "not supported for learner",
)
"""Said by a member before it proposes anything to the others. "leader changed", "timed out" and "server stopped" may
come after."""


class AccessError(RetryableError):
    """etcd does not accept who we are; nothing was done. It goes on when the operator has seen to it."""


class ForgottenError(ConflictError):
    """The revision asked for is compacted."""


@contextmanager
def understood() -> Iterator[None]:
    """Raises OutcomeUnknownError where an answer is not of the form that etcd's have: whatever answers there, it is not
    known what it did."""
    try:
        yield
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise OutcomeUnknownError(f"etcd's answer is not understood ({error!r}): is that its JSON gateway?") from error


def refusal(code: int, message: str, by: str) -> DrystoneError:
    """The error for an answer of the member `by`."""
    said = f"{by}: {message}"
    if _NO_SPACE in message:
        return FullError(
            f"{said}. Its space quota is used up, and it takes no writes until it was compacted, defragmented and the "
            "alarm NOSPACE disarmed (docs/registry.md, Alarms)"
        )
    if _COMPACTED in message:
        return ForgottenError(said)
    if code in _ACCESS_CODES or any(part in message for part in _ACCESS):
        return AccessError(
            f"{said}. It asks for a user and password, which Drystone does not give: it is to accept whoever shows a "
            "certificate of its client CA (client-cert-auth, with auth disabled)"
        )
    if code == _DATA_LOSS:
        return DamageError(f"{said}. Its members disagree on what is stored (docs/registry.md, Alarms)")
    if any(part in message for part in _BEFORE_ANY_EFFECT):
        return UnavailableError(said)
    kind = _CODES.get(code)
    return kind(said) if kind is not None else OutcomeUnknownError(f"{said}. It is unknown whether it took effect")
