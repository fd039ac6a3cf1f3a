"""What guests that moved away left behind: kept aside, whole, until the move is confirmed or taken back."""

from pathlib import Path

from kilonova.drivers.instances.definition import Definition, find_definition
from kilonova.drivers.instances.room import remove_directory


class Aside:
    """A directory beside that of the instances, on the same disk and as deep: what a guest's files refer to is found.

    Every change is one renaming: what is here is whole, whenever somebody looks.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir(exist_ok=True, mode=0o700)

    def uuids(self) -> list[str]:
        """Whose guests are kept here."""
        return sorted(path.name for path in self.directory.iterdir() if not path.name.startswith("."))

    def find(self, uuid: str) -> Path | None:
        """Where the guest is kept, if it is."""
        path = self.directory / uuid
        return path if path.is_dir() else None

    def find_definition(self, uuid: str) -> Definition | None:
        """What it was made of; None where it is not here, or nobody can tell."""
        return find_definition(self.directory / uuid)

    def put(self, directory: Path) -> Path:
        """Set a guest's directory aside, in the place of what an earlier move of it left; gives the new place."""
        path = self.directory / directory.name
        remove_directory(path)
        directory.rename(path)
        return path

    def take_back(self, directory: Path) -> bool:
        """Put what is kept back where it was, over what is there now; False where nothing is kept."""
        path = self.find(directory.name)
        if path is None:
            return False
        remove_directory(directory)
        path.rename(directory)
        return True

    def drop(self, uuid: str) -> None:
        """Keep it no longer."""
        remove_directory(self.directory / uuid)
