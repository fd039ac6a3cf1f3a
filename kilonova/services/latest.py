"""A request is judged by the server as it is, also where others write it in the same moment."""

from collections.abc import Callable
from typing import Final, TypeVar

from kilonova.domain.errors import Conflict, StaleRecord
from kilonova.domain.model import Instance
from kilonova.store import instances
from kilonova.store.database import Database

_T = TypeVar("_T")
_ATTEMPTS: Final = 5


def on_latest(database: Database, instance: Instance, attempt: Callable[[Instance], _T]) -> _T:
    """Attempt it on the instance as it was read, and again on what others made of it meanwhile.

    Conflict where that never ends.
    """
    for _ in range(_ATTEMPTS):
        try:
            return attempt(instance)
        except StaleRecord:
            with database.read() as connection:
                instance = instances.get_instance(connection, instance.uuid)
    raise Conflict(f"Instance {instance.uuid} changes too fast; try again.")
