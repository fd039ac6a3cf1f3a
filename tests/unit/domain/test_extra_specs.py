"""Extra specs that Nova knows, and those that are the operator's own."""

import pytest

from kilonova.domain.extra_specs import SPECS, complaint


@pytest.mark.parametrize(
    "name, value",
    [
        ("mine", "anything"),
        ("mine:own", "anything"),
        ("hw:cpu_policy", "dedicated"),
        ("hw:mem_page_size", "2MB"),
        ("hw:mem_page_size", "large"),
        ("hw:numa_cpus.0", "0-3,5"),
        ("hw:numa_mem.1", "1024"),
        ("hw:cpu_realtime_mask", "^0-1"),
        ("hw_rng:allowed", "True"),
        ("hw:tpm_version", "2.0"),
        ("quota:disk_read_iops_sec", "100"),
        ("resources:VCPU", "0"),
        ("resources1:CUSTOM_GOLD", "2"),
        ("trait:HW_CPU_X86_AVX2", "required"),
        ("trait_net:CUSTOM_FAST", "forbidden"),
        ("pci_passthrough:alias", "gpu:2"),
        ("aggregate_instance_extra_specs:ssd", "true"),
        ("capabilities:cpu_info:vendor", "Intel"),
        ("accel:device_profile", "fpga"),
    ],
)
def test_what_makes_sense_is_taken(name: str, value: str) -> None:
    assert complaint(name, value) is None


@pytest.mark.parametrize(
    "name, value, text",
    [
        ("hw:cpu_policy", "x", "Validation failed; 'x' is not one of: dedicated, shared, mixed."),
        ("hw:numa_nodes", "x", "Validation failed; 'x' is not a valid integer value."),
        ("hw:numa_nodes", "0", "Validation failed; '0' is less than the minimum value of '1'."),
        ("hw:pmu", "maybe", "Validation failed; 'maybe' is not a valid boolean-like value."),
        ("hw:colour", "x", "Validation failed; extra spec 'hw:colour' does not appear to be a valid extra spec."),
        ("trait:low", "x", "Validation failed; extra spec 'trait:low' does not appear to be a valid extra spec."),
        ("trait:HIGH", "x", "Validation failed; 'x' is not one of: required, forbidden."),
    ],
)
def test_what_makes_no_sense_is_told_in_novas_words(name: str, value: str, text: str) -> None:
    assert complaint(name, value) == text


def test_a_value_of_the_wrong_form_is_told_the_form() -> None:
    told = complaint("hw:mem_page_size", "huge") or ""
    assert told.startswith("Validation failed; 'huge' is not of the format '")


def test_no_two_rows_describe_the_same_name() -> None:
    names = [spec.name.pattern for spec in SPECS]
    assert len(names) == len(set(names))
