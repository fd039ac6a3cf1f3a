"""``python -m tests.compat.tempest [REGEX]``: Tempest's compute tests against a cloud that runs.

The cloud is the one that the environment names (``OS_AUTH_URL``, ``OS_USERNAME``, ``OS_PASSWORD``,
``OS_PROJECT_NAME``); its account must be an administrator. Tempest is installed into an environment of its own, makes
its own projects and users, and leaves out what ``excluded.txt`` tells.
"""

import argparse
import os
import subprocess
import sys
import venv
from configparser import ConfigParser
from pathlib import Path
from typing import Any, Final

import openstack

_HERE: Final = Path(__file__).parent
_TEMPEST: Final = "tempest==47.0.0"
_DEFAULT: Final = r"^tempest\.api\.compute|^tempest\.serial_tests\.api\.(compute|admin)"
_AGAIN: Final = "-again"


def main() -> int:
    """Prepare, run, and return Tempest's own exit code."""
    options = argparse.ArgumentParser(prog="python -m tests.compat.tempest", description=__doc__)
    options.add_argument("regex", nargs="?", default=_DEFAULT)
    options.add_argument("--folder", type=Path, default=Path.home() / ".cache" / "kilonova-tempest")
    options.add_argument("--concurrency", type=int, default=2)
    asked = options.parse_args()
    tempest = _installed(asked.folder)
    work = asked.folder / "work"
    (work / "etc").mkdir(parents=True, exist_ok=True)
    _write_settings(work)
    command = [str(tempest), "run", "--config-file", str(work / "etc" / "tempest.conf"), "--regex", asked.regex]
    command += ["--exclude-list", str(_HERE / "excluded.txt"), "--concurrency", str(asked.concurrency)]
    # Without it no container of results is there for the first run.
    if not (work / ".stestr").exists():
        subprocess.run([tempest.with_name("stestr"), "init"], cwd=work, check=True)
    return subprocess.run(command, cwd=work, check=False).returncode


def _installed(folder: Path) -> Path:
    """The command ``tempest``, installed once."""
    command = folder / "venv" / "bin" / "tempest"
    if not command.exists():
        venv.create(folder / "venv", with_pip=True)
        subprocess.run([command.with_name("pip"), "install", "--quiet", _TEMPEST], check=True)
    return command


def _write_settings(work: Path) -> None:
    """Tempest's settings for this cloud, and where its tests are."""
    cloud = openstack.connect()
    found = ConfigParser()
    found.read_dict(_settings(cloud, work))
    with (work / "etc" / "tempest.conf").open("w") as file:
        found.write(file)
    lib = next((work.parent / "venv" / "lib").glob("python3*/site-packages"))
    (work / ".stestr.conf").write_text(
        f"[DEFAULT]\ntest_path={lib}/tempest/test_discover\ntop_dir={lib}\ngroup_regex=([^\\.]*\\.)*\n"
    )


def _another_image(cloud: Any, image: Any) -> str:
    """The id of an image with the same data, made once."""
    name = f"{image.name}{_AGAIN}"
    found = cloud.image.find_image(name)
    if found is None:
        data = cloud.image.download_image(image).content
        found = cloud.image.create_image(
            name, data=data, disk_format=image.disk_format, container_format=image.container_format, visibility="public"
        )
    return str(found.id)


def _settings(cloud: Any, work: Path) -> dict[str, dict[str, Any]]:
    flavors = sorted(cloud.compute.flavors(), key=lambda flavor: (flavor.ram, flavor.disk))
    image = next(
        each for each in cloud.image.images(status="active", visibility="public") if not each.name.endswith(_AGAIN)
    )
    hosts = len([each for each in cloud.compute.services(binary="nova-compute") if each.status == "enabled"])
    several = hosts > 1
    return {
        "DEFAULT": {"log_file": work / "tempest.log"},
        "oslo_concurrency": {"lock_path": work / "lock"},
        "auth": {
            "use_dynamic_credentials": True,
            "create_isolated_networks": False,
            "admin_username": os.environ["OS_USERNAME"],
            "admin_password": os.environ["OS_PASSWORD"],
            "admin_project_name": os.environ["OS_PROJECT_NAME"],
            "admin_domain_name": "Default",
        },
        "identity": {"uri_v3": os.environ["OS_AUTH_URL"], "auth_version": "v3", "v3_endpoint_type": "publicURL"},
        "identity-feature-enabled": {"api_v2": False},
        "service_available": {"neutron": True, "cinder": False, "swift": False, "horizon": False},
        "compute": {
            "image_ref": image.id,
            "image_ref_alt": _another_image(cloud, image),
            "flavor_ref": flavors[0].id,
            "flavor_ref_alt": flavors[1].id,
            "max_microversion": "latest",
            "min_compute_nodes": hosts,
            "fixed_network_name": next(iter(cloud.network.networks())).name,
            "build_interval": 1,
            "build_timeout": 120,
        },
        "validation": {"run_validation": False},
        "compute-feature-enabled": {
            "rescue": True,
            "resize": several,
            "cold_migration": several,
            "live_migration": several,
            "block_migration_for_live_migration": several,
            "live_migrate_back_and_forth": several,
            "vnc_console": all(each.hypervisor_type == "QEMU" for each in cloud.compute.hypervisors(details=True)),
            "change_password": False,
            "personality": True,
            "hostname_fqdn_sanitization": True,
            "scheduler_enabled_filters": "all",
        },
    }


sys.exit(main())
