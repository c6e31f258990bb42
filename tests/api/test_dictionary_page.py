"""The dictionary of published fields: a page to read, Table Schema and CSV, all of the law."""

from __future__ import annotations

import csv
import io
import re

import pytest
from starlette.testclient import TestClient

from statewide.standard import Table, load_standard

PUBLISHED = load_standard().published_tables
TYPES = {"string", "integer", "number", "boolean", "date", "datetime", "object"}


def collection_of(table: Table) -> str:
    assert table.collection is not None
    return table.collection.id


def test_the_page_has_every_field_with_its_unit_and_its_codes(client: TestClient) -> None:
    page = client.get("/dictionary").text
    anchors = set(re.findall(r'id="([a-z-]+\.[a-z0-9_]+)"', page))
    assert anchors == {f"{collection_of(table)}.{field.name}" for table in PUBLISHED for field in table.public_fields}
    assert "area_sqft</code>" in page and ", sq ft</span>" in page
    assert "<code>surge_cat_1</code>" in page and 'fill="#7a0177"' in page
    assert "editor_comment" not in page and "delivered_address" not in page


@pytest.mark.parametrize("table", PUBLISHED, ids=collection_of)
def test_table_schema_describes_the_columns_that_are_published(client: TestClient, table: Table) -> None:
    schema = client.get(f"/dictionary/{collection_of(table)}.json").json()
    assert [field["name"] for field in schema["fields"]] == [field.name for field in table.public_fields]
    assert {field["type"] for field in schema["fields"]} <= TYPES
    assert all(field["title"] and field["description"] for field in schema["fields"])
    assert schema["primaryKey"] == table.key
    served = {collection_of(each) for each in PUBLISHED}
    assert {key["reference"]["resource"] for key in schema["foreignKeys"]} <= served
    constrained = {field["name"]: field.get("constraints", {}) for field in schema["fields"]}
    assert constrained[table.key]["unique"] and constrained[table.key]["required"]


def test_codes_and_keys_of_others_are_told(client: TestClient) -> None:
    schema = client.get("/dictionary/parcel-hazards.json").json()
    fields = {field["name"]: field for field in schema["fields"]}
    assert fields["layer"]["codes"]["storm-surge"] == "Hurricane surge"
    assert "storm-surge" in fields["layer"]["constraints"]["enum"]
    assert fields["mapped_share_pct"]["unit"] == "percent"
    assert {"fields": "parcel_uid", "reference": {"resource": "parcels", "fields": "parcel_uid"}} in schema[
        "foreignKeys"
    ]


def test_the_dictionary_as_csv(client: TestClient) -> None:
    answer = client.get("/dictionary/parcels.csv")
    rows = {row["field"]: row for row in csv.DictReader(io.StringIO(answer.text))}
    assert answer.headers["content-type"].startswith("text/csv")
    assert list(rows) == list(client.get("/collections/parcels/items?limit=1").json()["features"][0]["properties"])
    assert rows["area_sqft"]["unit"] == "sq ft" and rows["parcel_uid"]["always filled"] == "yes"
    assert "right_of_way = Right of way" in rows["parcel_type_class"]["codes"]


@pytest.mark.parametrize("path", ["/dictionary/nothing.json", "/dictionary/parcels.pdf", "/dictionary/parcel.csv"])
def test_what_is_not_there_is_said_so(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 404
