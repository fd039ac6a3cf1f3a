"""The crier: prods those agents of this process that have work, found by one query however many agents there are."""

from collections.abc import Callable, Mapping

from kilonova.store import ledger
from kilonova.store.database import Database


class Crier:
    """Stands in for the prods that were lost. ``prods`` are those of the agents, by host."""

    def __init__(self, database: Database, prods: Mapping[str, Callable[[], None]]) -> None:
        self._database = database
        self._prods = prods

    def step(self) -> bool:
        """Prod every agent whose host has open work. Always False: the agents do the rest."""
        with self._database.read() as connection:
            hosts = ledger.open_actions_by_host(connection)
        for host in hosts:
            prod = self._prods.get(host)
            if prod is not None:
                prod()
        return False
