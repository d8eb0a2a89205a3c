"""Tables of networks: what is not there is refused in Neutron's words."""

from __future__ import annotations

from typing import Any, TypeVar

from compute_plugin.networks.errors import MissingError
from compute_plugin.tables import table

R = TypeVar("R", bound=Any)


class Table(table.Table[R]):
    """Records of one kind."""

    def missing(self, id_: str) -> MissingError:
        """That there is none with the id."""
        return MissingError(self.kind.missing, f"{self.kind.called} {id_[:255]} could not be found.")
