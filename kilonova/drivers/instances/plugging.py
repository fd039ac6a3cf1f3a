"""A guest whose network cards come and go while it runs, and while it does not: the same for every driver."""

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, Protocol

from kilonova.domain.errors import GuestFailure, HypervisorUnavailable
from kilonova.domain.faults import FaultCause
from kilonova.domain.states import PowerState
from kilonova.drivers.disks.tool import disk_trouble
from kilonova.drivers.instances.cards import Bay, Patience, have_card, refuse_frozen, see_out, take_out
from kilonova.drivers.instances.definition import Definition
from kilonova.drivers.instances.mender import Mender
from kilonova.drivers.protocol import Nic
from kilonova.drivers.turns import Turns


class Site(Protocol):
    """What must be known of the driver."""

    @property
    def patience(self) -> Patience:
        """How long a guest may take to let go of a card."""
        ...

    @property
    def turns(self) -> Turns:
        """Who is at work on which guest."""
        ...


class Pluggable(ABC):
    """Its definition says which cards it is to have; what runs has the same ones.

    What they may differ in stands in the definition, and is mended in between verbs, also by a later driver: a card
    that could not be plugged and may be in all the same is taken out, and one that a guest lets go of too late, when it
    was told already that it keeps it, is put in again. What facts there are of cards changes within turns only.
    """

    uuid: str

    def _prepare_plugging(self, site: Site) -> None:
        """To be called once, before anything else."""
        self._patience, self._turns = site.patience, site.turns
        self._mender = Mender(self.uuid, site.turns, self._mend)

    # --- what the driver's own guest has ----------------------------------------------------------------

    @property
    @abstractmethod
    def power(self) -> PowerState:
        """Its power state now. May raise HypervisorUnavailable."""

    @abstractmethod
    def require_definition(self) -> Definition:
        """What it is made of. Raises GuestFailure where it is not made."""

    @abstractmethod
    def _rewrite(self, **facts: Any) -> None:
        """Change facts of its definition. Raises OSError."""

    @abstractmethod
    def _require_changeable(self) -> Definition:
        """What it is made of. Raises GuestFailure where its cards must stay as they are."""

    @abstractmethod
    def _find_bay(self) -> Bay | None:
        """Where its cards are, if it is up."""

    # --- verbs ------------------------------------------------------------------------------------------

    def plug(self, nic: Nic) -> None:
        """Put the card in; whoever is cut off on the way has it put in by the next driver.

        After a failure it is not the guest's, and is taken out should it be in all the same.
        """
        with disk_trouble():
            place = self._place_for(nic)
            plugged = self.require_definition().with_card(place, nic)
            try:
                self._keep(plugged.unsurely_with(place))
                self._put_in(place, nic)
                self._keep(plugged)
            except BaseException as failure:
                self._give_up(place, nic, failure)
                raise

    def unplug(self, mac: str) -> None:
        """Have the guest let go of the card if it is up, then take it out of its definition."""
        found = self._require_changeable().find_card(mac)
        if found is not None:
            with disk_trouble():
                self._expel(*found)

    def settle(self) -> None:
        """Have out what is not its own, for who takes the guest elsewhere knows of its own cards alone.

        Raises GuestFailure where it does not let go.
        """
        with disk_trouble():
            for place, nic in self.require_definition().unwanted:
                self._expel(place, nic)

    def mend_cards(self) -> None:
        """Have its cards put right, if they may be wrong; returns at once, and does nothing while a verb is at work."""
        definition = self._made_of()
        if definition is not None and (definition.unwanted or definition.unsure):
            self._mender.begin()

    # --- steps ------------------------------------------------------------------------------------------

    def _made_of(self) -> Definition | None:
        with contextlib.suppress(GuestFailure):
            return self.require_definition()
        return None

    def _place_for(self, nic: Nic) -> int:
        """Where the card is, or is to be."""
        definition = self._require_changeable()
        found = definition.find_card(nic.mac)
        if found is None:
            return definition.free_place
        place, there = found
        if there in (each for _, each in definition.unwanted) and there.address != nic.address:
            self._expel(place, there)  # what is behind it hands out the other address
        return place

    def _put_in(self, place: int, nic: Nic) -> None:
        bay = self._find_bay()
        if bay is not None:
            have_card(bay, place, nic, self._patience)

    def _give_up(self, place: int, nic: Nic, failure: BaseException) -> None:
        """Have the card not be the guest's: nobody else will know of it."""
        unwanted = nic if self._may_be_in(place, failure) else None
        with contextlib.suppress(GuestFailure, HypervisorUnavailable):  # written down it is by then
            self._keep(self.require_definition().without_card(place, unwanted))

    def _may_be_in(self, place: int, failure: BaseException) -> bool:
        if isinstance(failure, GuestFailure) and failure.cause is FaultCause.GUEST_UNRESPONSIVE:
            return True  # it would not answer this either
        with contextlib.suppress(GuestFailure, HypervisorUnavailable):
            bay = self._find_bay()
            return bay is not None and bay.mac_in(place) is not None
        return True

    def _expel(self, place: int, nic: Nic) -> None:
        """Have the card out, and forget it. Raises GuestFailure; then the guest has it still, until it is mended."""
        bay = self._find_bay()
        if bay is not None:
            if self.power is PowerState.PAUSED and bay.mac_in(place) is not None:
                raise refuse_frozen()
            self._keep(self.require_definition().unsurely_with(place))  # from now on it may go at any time
            take_out(bay, place, nic, self._patience, is_awaited=self._is_awaited)
        self._keep(self.require_definition().without_card(place))

    def _is_awaited(self) -> bool:
        return self._turns.is_awaited(self.uuid)

    def _keep(self, changed: Definition) -> None:
        """Write down what is changed of its cards."""
        self._rewrite(nics=changed.nics, unwanted=changed.unwanted, unsure=changed.unsure)

    def _forget_doubts(self) -> None:
        """A machine that is made anew has its own cards, and no others."""
        definition = self.require_definition()
        if definition.unwanted or definition.unsure:
            with disk_trouble():
                self._rewrite(unwanted=(), unsure=())

    # --- on the mender's thread -------------------------------------------------------------------------

    def _mend(self) -> None:
        with _until_the_next_time():
            definition, bay = self._require_changeable(), self._find_bay()
            if bay is None:
                return
            for place, nic in definition.unwanted:
                with _until_the_next_time():
                    if see_out(bay, place, nic):
                        self._keep(self.require_definition().without_card(place))
            for place, nic in definition.cards:
                with _until_the_next_time():
                    if place in definition.unsure and bay.mac_in(place) != nic.mac and see_out(bay, place, nic):
                        bay.put_in(place, nic)
                        self._keep(self.require_definition().surely_with(place))


@contextlib.contextmanager
def _until_the_next_time() -> Iterator[None]:
    """What does not succeed now is tried again."""
    with contextlib.suppress(GuestFailure, HypervisorUnavailable), disk_trouble():
        yield
