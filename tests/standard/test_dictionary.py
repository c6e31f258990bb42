"""The data dictionary tells an assessor everything the law says of a field, and its links lead somewhere."""

from __future__ import annotations

import re

import pytest

from statewide.dictionary import render_dictionary
from statewide.standard import load_standard


@pytest.fixture(scope="module")
def dictionary() -> str:
    return render_dictionary(load_standard())


def test_every_field_and_code_list_is_there(dictionary: str) -> None:
    standard = load_standard()
    for table in standard.tables.values():
        for field in table.fields:
            assert f'<a id="{table.name}-{field.name}"></a>' in dictionary
            assert " ".join(field.description.split()) in dictionary
    for name in standard.code_lists:
        assert f'<a id="codes-{name}"></a>' in dictionary


def test_links_lead_to_an_anchor(dictionary: str) -> None:
    anchors = re.findall(r'<a id="([^"]+)"', dictionary)
    assert len(anchors) == len(set(anchors))
    assert set(re.findall(r"\]\(#([^)]+)\)", dictionary)) <= set(anchors)


def test_a_field_tells_its_unit_its_limits_and_who_gives_it(dictionary: str) -> None:
    assert "| [`land_acres`](#assessment-land_acres) | Land area by the assessor | number, acres | must |  | yes |" in (
        dictionary
    )
    start = dictionary.index('<a id="assessment-year_built"></a>')
    passage = dictionary[start : dictionary.index("<a id=", start + 1)]
    assert "- Limits: from 1600 to 2100." in passage
    assert "- Read as not known: `0`." in passage
    assert "`AYB` (Connecticut parcel layer)" in passage


def test_rows_of_a_table_have_as_many_cells_as_its_head(dictionary: str) -> None:
    width = 0
    for line in dictionary.splitlines():
        if not line.startswith("|"):
            width = 0
            continue
        cells = len(re.findall(r"(?<!\\)\|", line))
        assert width in (0, cells), line
        width = cells


def test_the_same_law_gives_the_same_text(dictionary: str) -> None:
    assert render_dictionary(load_standard()) == dictionary
