import pytest

from kilonova.identity.caller import implied
from kilonova.identity.catalog import Catalog, CatalogService


@pytest.mark.parametrize(
    "granted, everything",
    [
        ([], set()),
        (["reader"], {"reader"}),
        (["member"], {"member", "reader"}),
        (["admin"], {"admin", "manager", "member", "reader"}),
        (["service", "member"], {"service", "member", "reader"}),
    ],
)
def test_a_role_brings_the_lower_ones(granted: list[str], everything: set[str]) -> None:
    assert implied(granted) == everything


def test_the_catalog_leads_to_the_address_by_which_it_was_asked_for() -> None:
    part = Catalog().as_token_part("http://cloud.example:8774")
    urls = {service["type"]: {endpoint["url"] for endpoint in service["endpoints"]} for service in part}
    assert urls == {
        "identity": {"http://cloud.example:8774/identity"},
        "compute": {"http://cloud.example:8774/compute/v2.1"},
        "image": {"http://cloud.example:8774/image"},
        "network": {"http://cloud.example:8774/network"},
    }


def test_a_service_elsewhere_keeps_its_own_address() -> None:
    elsewhere = CatalogService(type="image", name="glance", location="https://glance.example/")
    assert elsewhere.url("http://cloud.example") == "https://glance.example/"


def test_ids_in_the_catalog_are_the_same_in_every_process() -> None:
    assert Catalog().list_endpoints("http://a") == Catalog().list_endpoints("http://a")
    ids = [endpoint["id"] for endpoint in Catalog().list_endpoints("http://a")]
    assert len(set(ids)) == len(ids) == 12
