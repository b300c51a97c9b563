"""The dictionary of metrics is written from the models' descriptions, and is what stands in docs/."""

from ingest.warehouse.dictionary import PAGE, dictionary


def test_docs_metrics_is_what_the_descriptions_say() -> None:
    assert PAGE.read_text() == dictionary(), "run `python -m ingest.warehouse.dictionary`"


def test_every_published_table_has_a_section_that_begins_with_its_grain() -> None:
    sections = dictionary().split("\n## ")[1:]
    assert {"mart_engagement", "mart_reach", "mart_fake_followers"} <= {one.split("\n")[0] for one in sections}
    assert all("One row per" in one.split("\n")[2] for one in sections)
