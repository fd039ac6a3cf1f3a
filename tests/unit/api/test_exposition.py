"""Prometheus' text format."""

from kilonova.api.own.exposition import Family, Sample, histogram, rendered


def test_a_family_has_its_help_its_type_and_its_samples() -> None:
    family = Family("up_total", "counter", "What\nis \\ up.", [Sample(2), Sample(0.5, {"a": 'x"\\\n'})])
    assert rendered([family]).decode().splitlines() == [
        r"# HELP up_total What\nis \\ up.",
        "# TYPE up_total counter",
        "up_total 2",
        r'up_total{a="x\"\\\n"} 0.5',
    ]


def test_the_buckets_of_a_histogram_add_up() -> None:
    samples = histogram({"op": "stop"}, (0.5, 1.0), [1, 2, 3], 9.5)
    assert [(each.suffix, each.labels.get("le"), each.value) for each in samples] == [
        ("_bucket", "0.5", 1),
        ("_bucket", "1", 3),
        ("_bucket", "+Inf", 6),
        ("_sum", None, 9.5),
        ("_count", None, 6),
    ]
