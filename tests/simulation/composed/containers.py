"""A client that makes, changes and deletes containers, and puts objects into them. Each has its own."""

from __future__ import annotations

from random import Random

from store.core.errors import ConflictError, DrystoneError, NotFoundError
from store.objects.model import Container, ObjectHead
from store.objects.store import DeviceStore
from tests.simulation.engine_checks import WrongError

Headers = str | None
"""What marks a container's headers; None: there is no such container."""


class ContainerModel:
    """One container: what it may be, and the objects that must be in it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.current: Headers = None
        self.pending: set[Headers] = set()
        self.objects: set[str] = set()
        self.maybe: set[str] = set()
        """Objects whose last write has no known outcome."""

    def begin(self, value: Headers) -> None:
        self.pending.add(value)

    def shown(self, value: Headers) -> None:
        """This is what it is: whatever else was possible before is so no more."""
        if value != self.current and value not in self.pending:
            raise WrongError(f"container {self.name} is {value}, not {self.current} nor any of {self.pending}")
        if value is None and self.objects:
            raise WrongError(f"container {self.name} is gone, with {self.objects} in it")
        self.current = value
        self.pending.clear()

    def did(self, value: Headers) -> None:
        self.current = value
        self.pending.clear()


class ContainerClient:
    """Works on one container."""

    def __init__(self, account: str, model: ContainerModel, random: Random) -> None:
        self._account = account
        self._model = model
        self._random = random
        self._marks = 0
        self.store: DeviceStore

    async def step(self) -> None:
        """One thing. Raises what the store raises; the model knows then what may be."""
        await self._random.choice(
            [self._make, self._make, self._put, self._put, self._empty, self._delete, self._look]
        )()

    async def _make(self) -> None:
        model = self._model
        self._marks += 1
        mark = f"{model.name} {self._random.getrandbits(32)}"
        before = model.current if not model.pending else "?"
        model.begin(mark)
        container, made = await self.store.put_container(self._account, model.name, {"mark": mark})
        if made and (model.objects or before not in (None, "?")):
            raise WrongError(f"container {model.name} was made, and was there")
        assert container.headers == {"mark": mark}
        model.did(mark)

    async def _container(self) -> Container:
        try:
            container = await self.store.container(self._account, self._model.name)
        except NotFoundError:
            self._model.shown(None)
            raise
        self._model.shown(container.headers["mark"])
        return container

    async def _look(self) -> None:
        container = await self._container()
        for name in sorted(self._model.objects):
            await self.store.head(container, name)

    async def _put(self) -> None:
        container = await self._container()
        name = str(self._random.randint(0, 2))
        self._model.maybe.add(name)
        try:
            await self.store.put(container, name, b"data", ObjectHead("t", {"mark": "m"}))
        except NotFoundError:
            raise WrongError(f"container {self._model.name} was there, and is not for who writes") from None
        self._model.objects.add(name)
        self._model.maybe.discard(name)

    async def _empty(self) -> None:
        container = await self._container()
        for name in sorted(self._model.objects | self._model.maybe):
            self._model.objects.discard(name)
            self._model.maybe.add(name)
            try:
                await self.store.delete(container, name)
            except NotFoundError:
                if name in self._model.objects:
                    raise WrongError(f"object {name} of container {self._model.name} is not there") from None
            self._model.maybe.discard(name)

    async def _delete(self) -> None:
        model = self._model
        model.begin(None)
        try:
            await self.store.delete_container(self._account, model.name)
        except NotFoundError:
            model.shown(None)
            return
        except ConflictError:
            if not model.objects and not model.maybe:
                raise WrongError(f"container {model.name} is empty, and not for who deletes it") from None
            model.pending.discard(None)
            return
        if model.objects:
            raise WrongError(f"container {model.name} was deleted with {model.objects} in it")
        model.maybe.clear()
        model.did(None)

    async def check(self) -> None:
        """At rest."""
        try:
            await self._look()
        except NotFoundError as error:
            if self._model.current is not None:
                raise WrongError(f"container {self._model.name}: {error}") from error
        except DrystoneError as error:
            raise WrongError(f"container {self._model.name} at rest: {error}") from error
