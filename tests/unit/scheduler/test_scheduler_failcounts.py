"""Failure attributes: which resource they are about, with and without instance numbers and operations."""

from komainu.scheduler import failcounts


def test_attributes_are_sorted_by_resource_and_by_instance() -> None:
    read = failcounts.read(
        {
            "fail-count-web#monitor_10000": "2",
            "last-failure-web#monitor_10000": "77",
            "fail-count-db:1": "INFINITY",
            "#uname": "a",
            "fail-counter": "9",
        }
    )
    assert sorted(read) == ["db", "db:1", "web"]
    assert [(record.value, record.is_count) for record in read["web"]] == [("2", True), ("77", False)]
    assert read["db"] == read["db:1"]


def test_a_name_that_only_begins_alike_is_another_resource() -> None:
    assert "web" not in failcounts.read({"fail-count-webserver": "1"})
