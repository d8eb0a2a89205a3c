"""Records by id, in the order of ids, and by name."""

from __future__ import annotations

from authn.records import USER, User
from authn.table import Table


def of(*users: User) -> Table[User]:
    table = Table(USER, lambda user: (user.domain_id, user.name))
    for user in users:
        table.store(user.id, user)
    return table


def named_elsewhere(id_: str, name: str) -> User:
    """One whose name a provider says, so that others may have it."""
    return User(id_, name, "d", federated=(("acme", "openid", id_),))


def test_the_order_of_ids_is_kept_through_changes() -> None:
    table = of(User("b", "B"), User("d", "D"), User("a", "A"))
    assert [user.id for user in table.after("")] == ["a", "b", "d"]
    assert [user.id for user in table.after("a")] == ["b", "d"]
    table.store("c", User("c", "C"))
    assert [user.id for user in table.after("bb")] == ["c", "d"]
    table.store("b", None)
    table.store("a", User("a", "another name"))
    assert [user.name for user in table.after("")] == ["another name", "C", "D"]
    table.store("c", None, "a newer program wrote it")
    assert [user.id for user in table.after("a")] == ["d"]
    table.store("c", User("c", "C"))
    assert [user.id for user in table.after("a")] == ["c", "d"]


def test_all_who_are_called_so_are_found() -> None:
    table = of(named_elsewhere("1", "ann"), named_elsewhere("2", "ann"), User("3", "ann", "d"), User("4", "ann", "e"))

    def ids(name: str = "ann") -> set[str]:
        return {user.id for user in table.called(("d", name))}

    assert ids() == {"1", "2", "3"}
    table.store("1", named_elsewhere("1", "anne"))
    assert (ids(), ids("anne")) == ({"2", "3"}, {"1"})
    table.store("2", None)
    table.store("1", User("1", "anne", "d", password_hash="x", federated=(("acme", "openid", "1"),)))
    assert (ids(), ids("anne")) == ({"3"}, {"1"}), "with a password the name is their own"
    table.store("1", None)
    assert ids("anne") == set()
