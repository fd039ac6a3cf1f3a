"""The config drive: a CD labelled ``config-2`` from which a guest learns who it is, in OpenStack's layout.

It is the only source of metadata that the embedded network offers, so servers with user data or a key get one as well.
"""

import base64
import binascii
import json
from typing import Final

from kilonova.domain.errors import GuestFailure
from kilonova.domain.faults import FaultCause
from kilonova.drivers.disks.isofs import iso_image
from kilonova.drivers.protocol import GuestSpec, Nic

LABEL: Final = "config-2"
_WHERE: Final = "openstack/latest"


def wants_config_drive(spec: GuestSpec) -> bool:
    """Whether this guest gets one."""
    return spec.config_drive or spec.user_data is not None or bool(spec.public_keys) or bool(spec.files)


def config_drive(spec: GuestSpec) -> bytes:
    """The whole image. Raises GuestFailure where the user data, or a file, is no base64."""
    files = {
        f"{_WHERE}/meta_data.json": json.dumps(_meta_data(spec)).encode(),
        f"{_WHERE}/network_data.json": json.dumps(_network_data(spec)).encode(),
    }
    if spec.user_data is not None:
        files[f"{_WHERE}/user_data"] = _decoded(spec.user_data)
    for number, file in enumerate(spec.files):
        files[f"openstack{_content(number)}"] = _decoded(file.contents)
    return iso_image(LABEL, files)


def _decoded(user_data: str) -> bytes:
    try:
        return base64.b64decode(user_data)
    except (binascii.Error, ValueError) as error:
        raise GuestFailure(
            FaultCause.DRIVER_ERROR, "the user data, or a file, is no base64", detail=str(error)
        ) from error


def _content(number: int) -> str:
    """Where a file to be put into its place lies, below ``openstack``."""
    return f"/content/{number:04d}"


def _meta_data(spec: GuestSpec) -> dict[str, object]:
    return {
        "uuid": spec.uuid,
        "name": spec.display_name,
        "hostname": spec.hostname or spec.name,
        "project_id": spec.project_id,
        "availability_zone": spec.availability_zone,
        "launch_index": spec.launch_index,
        "meta": dict(spec.metadata),
        "public_keys": dict(spec.public_keys),
        "keys": [{"name": name, "type": _key_type(key), "data": key} for name, key in spec.public_keys.items()],
        "files": [{"path": file.path, "content_path": _content(number)} for number, file in enumerate(spec.files)],
        "devices": [_device(nic) for nic in spec.nics if nic.tag is not None],
    }


def _device(nic: Nic) -> dict[str, object]:
    """A tagged NIC as Nova tells a guest of it; on which bus it is, the guest sees by the MAC address."""
    return {"type": "nic", "bus": "none", "mac": nic.mac, "tags": [nic.tag]}


def _key_type(public_key: str) -> str:
    return "x509" if public_key.startswith("-----BEGIN CERTIFICATE") else "ssh"


def _network_data(spec: GuestSpec) -> dict[str, object]:
    links = [f"nic{number}" for number in range(len(spec.nics))]
    return {
        "links": [
            {"id": link, "type": "phy", "ethernet_mac_address": nic.mac, "mtu": None}
            for link, nic in zip(links, spec.nics, strict=True)
        ],
        "networks": [
            {"id": f"network{number}", "link": link, "type": "ipv4_dhcp", "network_id": nic.label}
            for number, (link, nic) in enumerate(zip(links, spec.nics, strict=True))
        ],
        "services": [],
    }
