"""A domain whose network cards come and go.

Cards on a bridge are libvirt's own. Those on QEMU's own network are QEMU's: libvirt hands the words on to its monitor,
and has to be told of the cards wherever it starts a QEMU by what it kept of the one before.
"""

import json
from collections.abc import Mapping
from typing import Any, Final
from xml.etree import ElementTree as ET

from kilonova.domain.errors import GuestFailure
from kilonova.domain.faults import FaultCause
from kilonova.drivers.instances.cards import (
    Bay,
    Command,
    MonitorBay,
    refusals_ignored,
    refuse_suspended,
    slot_of,
)
from kilonova.drivers.instances.definition import Definition
from kilonova.drivers.instances.plugging import Pluggable
from kilonova.drivers.libvirt.connection import Happening
from kilonova.drivers.libvirt.description import NOVA, bridged_card, nova_metadata, with_user_cards
from kilonova.drivers.libvirt.guest import UP, Guest
from kilonova.drivers.libvirt.known import Site
from kilonova.drivers.libvirt.words import translated
from kilonova.drivers.protocol import Nic

_LIVE: Final = 1  # VIR_DOMAIN_AFFECT_LIVE
_ELEMENT: Final = 2  # VIR_DOMAIN_METADATA_ELEMENT
_SECRETS_TOO: Final = 1  # VIR_DOMAIN_XML_SECURE, and VIR_DOMAIN_SAVE_IMAGE_XML_SECURE


class PluggableGuest(Guest, Pluggable):
    """A guest with the cards that its definition says."""

    def __init__(self, uuid: str, site: Site) -> None:
        super().__init__(uuid, site)
        self._prepare_plugging(site)

    def suspend(self) -> None:
        """Have libvirt save its memory with its own cards alone, for with them it will go on."""
        if not self._has_saved_memory():
            self.settle()
        super().suspend()

    def resume(self) -> None:
        """Let it go on with the cards that it had when it was suspended."""
        domain = self._site.domains.find(self.uuid)
        if domain is not None and not self._site.bridge and self._has_saved_memory():
            with translated("describe the suspended server"):
                kept = domain.managedSaveGetXMLDesc(_SECRETS_TOO)
                domain.managedSaveDefineXML(self.with_own_cards(kept), 0)
        super().resume()

    def with_own_cards(self, description: str) -> str:
        """Its domain with those of its network cards that libvirt does not know of."""
        cards = self.require_definition().cards
        return description if self._site.bridge else with_user_cards(description, cards)

    def hear(self, happening: Happening) -> None:
        """Take note of what libvirt told."""
        if happening.what == "card_gone":
            self.mend_cards()
        else:
            super().hear(happening)

    def tend(self) -> None:
        """What is to be done now and then."""
        super().tend()
        self.mend_cards()

    def _launch(self) -> None:
        self._forget_doubts()
        super()._launch()

    def _keep(self, changed: Definition) -> None:
        """Have it so from its next start on as well, and let those who look at its domain know."""
        is_new = changed.nics != self.require_definition().nics
        super()._keep(changed)
        domain = self._site.domains.find(self.uuid) if is_new else None
        if domain is None:
            return
        self._site.domains.define(self.uuid, self.describe())
        if self.power in UP:
            told = ET.tostring(nova_metadata(self.require_definition(), namespace=""), encoding="unicode")
            with translated("tell of the server's network cards"):
                domain.setMetadata(_ELEMENT, told, "nova", NOVA, _LIVE)

    def _find_bay(self) -> Bay | None:
        domain = self._site.domains.find(self.uuid)
        if domain is None or self.power not in UP:
            return None
        return BridgeBay(domain, self._site.bridge) if self._site.bridge else MonitorBay(monitor_of(domain))

    def _require_changeable(self) -> Definition:
        definition = self.require_definition()
        if self._has_saved_memory():
            raise refuse_suspended()
        return definition


class BridgeBay:
    """Cards on a bridge, by libvirt."""

    def __init__(self, domain: Any, bridge: str) -> None:
        self._domain = domain
        self._bridge = bridge

    def mac_in(self, place: int) -> str | None:
        """See Bay."""
        with translated("tell a server's network cards"):
            described = ET.fromstring(self._domain.XMLDesc(0))  # noqa: S314 - libvirt's own words
        for card in described.iterfind("devices/interface"):
            address, mac = card.find("address[@type='pci']"), card.find("mac")
            if address is not None and int(address.get("slot", "0"), 16) == int(slot_of(place), 16):
                return "" if mac is None else mac.get("address", "")
        return None

    def put_in(self, place: int, nic: Nic) -> None:
        """See Bay."""
        with translated("give the server a network card"):
            self._domain.attachDeviceFlags(self._described(place, nic), _LIVE)

    def ask_out(self, place: int, nic: Nic) -> None:
        """See Bay."""
        with refusals_ignored(), translated("take the server's network card out"):
            self._domain.detachDeviceFlags(self._described(place, nic), _LIVE)

    def clear(self, place: int) -> None:
        """See Bay; nothing is left."""

    def _described(self, place: int, nic: Nic) -> str:
        return ET.tostring(bridged_card(place, nic, self._bridge), encoding="unicode")


def monitor_of(domain: Any) -> Command:
    """The monitor of the domain's QEMU."""

    def command(name: str, arguments: Mapping[str, Any]) -> Any:
        import libvirt_qemu

        asked = json.dumps({"execute": name, "arguments": arguments})
        with translated(f"tell the server's QEMU to {name}"):
            said = json.loads(libvirt_qemu.qemuMonitorCommand(domain, asked, 0))
        if "error" in said:
            raise GuestFailure(FaultCause.DRIVER_ERROR, f"QEMU refused ({name})", detail=str(said["error"]))
        return said["return"]

    return command
