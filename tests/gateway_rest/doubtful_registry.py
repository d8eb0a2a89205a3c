"""A registry whose answer to a write is lost, though it was done."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from store.registry import Compare, Operation, OutcomeUnknownError, Put, Registry, TransactionResult


def lose_answer(registry: Registry, lost: Callable[[Sequence[Operation]], bool]) -> None:
    """Of the next write that is `lost`."""
    transact = registry.transact

    async def doubtful(
        compares: Sequence[Compare], on_success: Sequence[Operation], on_failure: Sequence[Operation] = ()
    ) -> TransactionResult:
        result = await transact(compares, on_success, on_failure)
        if result.succeeded and lost(on_success):
            registry.transact = transact  # type: ignore[method-assign]
            raise OutcomeUnknownError("the answer was lost")
        return result

    registry.transact = doubtful  # type: ignore[method-assign]


def puts(beginning: bytes) -> Callable[[Sequence[Operation]], bool]:
    """Whether a write puts a key that begins so."""
    return lambda operations: any(isinstance(one, Put) and one.key.startswith(beginning) for one in operations)
