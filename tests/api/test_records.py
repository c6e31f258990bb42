"""The catalogue: OGC API Records, DCAT-US, ISO 19139, the State's inventory, and how complete each record is."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import jsonschema
import psycopg
import pytest
from referencing import Registry, Resource
from starlette.testclient import TestClient

from statewide.settings import Settings
from statewide.standard import load_standard

RECORDS = "/collections/records/items"
GMD, GCO = "{http://www.isotc211.org/2005/gmd}", "{http://www.isotc211.org/2005/gco}"


def records(client: TestClient, **parameters: str) -> dict[str, dict[str, Any]]:
    answer = client.get(RECORDS, params={"f": "json", **parameters})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/geo+json"
    return {feature["id"]: feature for feature in answer.json()["features"]}


@pytest.fixture(scope="module")
def every(client: TestClient) -> dict[str, dict[str, Any]]:
    return records(client)


def test_there_is_a_record_of_every_collection_and_every_asset(every: dict[str, Any]) -> None:
    standard = load_standard()
    served = {table.collection.id for table in standard.published_tables if table.collection}
    assets = {asset.id for assets in standard.assets for asset in assets.assets}
    assert set(every) == served | assets
    assert {every[name]["properties"]["level"] for name in assets} == {"federal", "state", "local", "own"}
    assert {each["properties"]["data_class"] for each in every.values()} == {"public", "restricted", "confidential"}


def test_a_record_has_what_record_core_asks_for(every: dict[str, Any]) -> None:
    for record in every.values():
        assert record["type"] == "Feature" and "time" in record and record["geometry"]["type"] == "Polygon"
        assert record["properties"]["type"] == "dataset" and record["properties"]["title"]
        assert record["conformsTo"] == ["http://www.opengis.net/spec/ogcapi-records-1/1.0/req/record-core"]
        assert {"self", "collection"} <= {link["rel"] for link in record["links"]}


def test_a_record_says_which_towns_are_live_and_since_when(client: TestClient, every: dict[str, Any]) -> None:
    parcels = every["parcels"]["properties"]
    assert parcels["number_of_rows"] == client.get("/collections/parcels/items?limit=1").json()["numberMatched"]
    assert [(each["name"], each["begins"]) for each in parcels["vintages"]] == [
        ("Franklin", "2025-01-01"),
        ("New London", "2025-01-01"),
    ]
    assert parcels["updated"] == "2026-04-30T00:00:00Z"
    assert every["parcels"]["time"] == {"interval": ["2025-01-01", "2025-12-31"]}
    assert "rows" not in json.dumps(parcels["vintages"]), "a count by town would tell how many are withheld"


def test_a_computed_dataset_names_the_versions_of_both_sides(every: dict[str, Any]) -> None:
    made_of = {each["of"]: each for each in every["parcel-hazards"]["properties"]["vintages"]}
    assert made_of["flood-zones"]["version"] == "2025-07-08" and "parcel" in made_of
    assert "2025-07-08" in every["flood-zones"]["properties"]["lineage"]


def test_a_town_that_publishes_is_in_the_catalogue_at_once(client: TestClient, world: Settings) -> None:
    later = "UPDATE statewide.publication SET published_at = %s WHERE cousub_fips = '29910' AND dataset = 'parcel'"
    with psycopg.connect(world.require_database_url()) as connection:
        (before,) = connection.execute(
            "SELECT published_at FROM statewide.publication WHERE cousub_fips = '29910' AND dataset = 'parcel'"
        ).fetchone() or ("",)
        connection.execute(later, ["2026-06-01T10:00Z"])
    try:
        assert records(client, ids="parcels")["parcels"]["properties"]["updated"].startswith("2026-06-01")
    finally:
        with psycopg.connect(world.require_database_url()) as connection:
            connection.execute(later, [before])


def test_links_of_the_records_lead_somewhere(client: TestClient, every: dict[str, Any]) -> None:
    for record in every.values():
        for link in record["links"]:
            if link["href"].startswith(str(client.base_url)):
                assert client.get(link["href"].split("#")[0]).status_code == 200, link["href"]


def test_records_are_found_by_word_identifier_time_and_place(client: TestClient) -> None:
    assert {"flood-zones", "fema-nfhl"} <= set(records(client, q="nfhl"))
    assert set(records(client, q="sea level rise, hurricane surge")) >= {"sea-level-rise", "usace-hurricane-surge"}
    assert set(records(client, ids="parcels,towns")) == {"parcels", "towns"}
    assert records(client, type="service") == {} == records(client, externalIds="x")
    assert records(client, bbox="10,10,11,11") == {}
    assert "parcels" in records(client, bbox="-72.2,41.3,-72.1,41.4")
    assert "parcels" in records(client, datetime="2025-06-01")
    assert "parcels" not in records(client, datetime="2020-01-01")


def test_pages_of_records_follow_one_another(client: TestClient, every: dict[str, Any]) -> None:
    seen: list[str] = []
    following: str | None = f"{RECORDS}?f=json&limit=7"
    while following:
        page = client.get(following).json()
        seen += [feature["id"] for feature in page["features"]]
        following = next((link["href"] for link in page["links"] if link["rel"] == "next"), None)
    assert seen == list(every)


@pytest.mark.parametrize("query", ["editor=x", "limit=0", "bbox=1,2,3", "bbox=nan,1,2,3", "datetime=soon", "q=a&q=b"])
def test_what_makes_no_sense_is_refused(client: TestClient, query: str) -> None:
    assert client.get(f"{RECORDS}?f=json&{query}").status_code == 400


def test_one_record_and_none(client: TestClient) -> None:
    assert client.get(f"{RECORDS}/parcels?f=json").json()["id"] == "parcels"
    assert client.get(f"{RECORDS}/nothing").status_code == 404
    assert client.get("/metadata/nothing.xml").status_code == 404


def test_the_collection_is_a_collection_of_records(client: TestClient) -> None:
    assert client.get("/collections/records?f=json").json()["itemType"] == "record"
    assert "title" in client.get("/collections/records/queryables?f=json").json()["properties"]
    classes = client.get("/conformance?f=json").json()["conformsTo"]
    ours = {name.rsplit("/", 1)[1] for name in classes if "ogcapi-records" in name}
    assert ours == {"record-core", "record-core-query-parameters", "record-api", "json", "html"}


@pytest.mark.parametrize("path", [RECORDS, f"{RECORDS}/parcels", f"{RECORDS}/persons", "/dictionary"])
def test_readers_get_a_page_without_scripts_of_others(client: TestClient, path: str) -> None:
    answer = client.get(path, headers={"accept": "text/html"})
    assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/html")
    assert "https://unpkg" not in answer.text and "<script>" not in answer.text


# ------------------------------------------------------------------------------------------- completeness


def test_completeness_is_the_share_of_what_the_inventory_asks(every: dict[str, Any]) -> None:
    complete = every["parcels"]["properties"]
    assert (complete["metadata_completeness_pct"], complete["metadata_missing"]) == (100, [])
    plans = every["town-hazard-plans"]["properties"]
    assert plans["metadata_missing"] == ["Public License Type"]
    assert 90 < plans["metadata_completeness_pct"] < 100
    assert "Public License Type" not in every["persons"]["properties"]["metadata_missing"]


def test_the_overall_figure_stands_on_the_catalogue_page(client: TestClient, every: dict[str, Any]) -> None:
    figures = [each["properties"]["metadata_completeness_pct"] for each in every.values()]
    page = client.get(RECORDS, headers={"accept": "text/html"}).text
    assert f"<strong>{sum(figures) / len(figures):.0f} percent</strong>" in page


def test_every_published_column_has_a_description() -> None:
    for table in load_standard().published_tables:
        for field in table.public_fields:
            assert len(field.description.split()) >= 2, f"{table.name}.{field.name}"


# ---------------------------------------------------------------------------------------------- inventory


def test_the_inventory_is_the_same_records(client: TestClient, every: dict[str, Any]) -> None:
    rows = list(csv.DictReader(io.StringIO(client.get("/inventory.csv").text)))
    assert [row["Identifier"] for row in rows] == list(every)
    by = {row["Identifier"]: row for row in rows}
    assert (by["parcels"]["Number of Rows"], by["parcels"]["Row Label"]) == ("350", "Parcel")
    assert by["parcels"]["Columns Described (percent)"] == by["parcels"]["Metadata Completeness (percent)"] == "100"
    assert by["parcels"]["Data Provided By"] == "Towns of Connecticut"
    assert by["persons"]["Data Class"] == "confidential" and "CGS 1-217" in by["persons"]["Why It Is Not Public"]
    assert by["town-hazard-plans"]["Missing"] == "Public License Type"


# --------------------------------------------------------------------------------------------------- DCAT


def test_data_json_says_who_may_have_what(client: TestClient, every: dict[str, Any]) -> None:
    datasets = client.get("/data.json").json()["dataset"]
    assert len(datasets) == len(every)
    access = {each["identifier"].rsplit("/", 1)[1]: each["accessLevel"] for each in datasets}
    assert (access["parcels"], access["delivery-findings"], access["persons"]) == (
        "public",
        "restricted public",
        "non-public",
    )


@pytest.mark.real
def test_data_json_passes_the_schema_of_dcat_us(client: TestClient, shared_data: Path) -> None:
    folder = shared_data / "standards" / "dcat"
    catalogue = json.loads((folder / "dcatus1.1_catalog.schema.json").read_text())
    dataset = json.loads((folder / "dcatus1.1_non-federal_dataset.schema.json").read_text())
    resource = Resource.from_contents(dataset)
    registry = Registry().with_resources(
        [("https://project-open-data.cio.gov/v1.1/schema/dataset.json", resource), ("dataset.json", resource)]
    )
    validator = jsonschema.Draft202012Validator(catalogue, registry=registry, format_checker=jsonschema.FormatChecker())
    assert [error.message for error in validator.iter_errors(client.get("/data.json").json())] == []


# ---------------------------------------------------------------------------------------------------- ISO

SEQUENCES = {
    "MD_Metadata": (
        "fileIdentifier language characterSet parentIdentifier hierarchyLevel hierarchyLevelName contact dateStamp "
        "metadataStandardName metadataStandardVersion dataSetURI locale spatialRepresentationInfo referenceSystemInfo "
        "metadataExtensionInfo identificationInfo contentInfo distributionInfo dataQualityInfo"
    ),
    "MD_DataIdentification": (
        "citation abstract purpose credit status pointOfContact resourceMaintenance graphicOverview resourceFormat "
        "descriptiveKeywords resourceSpecificUsage resourceConstraints aggregationInfo spatialRepresentationType "
        "spatialResolution language characterSet topicCategory environmentDescription extent supplementalInformation"
    ),
    "CI_Citation": "title alternateTitle date edition editionDate identifier citedResponsibleParty presentationForm",
    "CI_ResponsibleParty": "individualName organisationName positionName contactInfo role",
    "CI_Contact": "phone address onlineResource hoursOfService contactInstructions",
    "MD_LegalConstraints": "useLimitation accessConstraints useConstraints otherConstraints",
    "MD_SecurityConstraints": "useLimitation classification userNote classificationSystem handlingDescription",
    "MD_Distribution": "distributionFormat distributor transferOptions",
    "MD_Format": "name version amendmentNumber specification fileDecompressionTechnique formatDistributor",
    "CI_OnlineResource": "linkage protocol applicationProfile name description function",
    "EX_GeographicBoundingBox": (
        "extentTypeCode westBoundLongitude eastBoundLongitude southBoundLatitude northBoundLatitude"
    ),
    "DQ_DataQuality": "scope report lineage",
    "MD_Keywords": "keyword type thesaurusName",
}
"""Order of the elements inside of one another in the schemas of ISO 19139 (gmd 2006)."""
NEEDED = {
    "MD_Metadata": {"contact", "dateStamp", "identificationInfo"},
    "MD_DataIdentification": {"citation", "abstract", "language"},
    "CI_Citation": {"title", "date"},
    "CI_ResponsibleParty": {"role"},
    "MD_SecurityConstraints": {"classification"},
    "MD_Format": {"name", "version"},
    "CI_OnlineResource": {"linkage"},
}


def test_iso_metadata_keeps_the_order_of_the_schema(client: TestClient, every: dict[str, Any]) -> None:
    for name in every:
        answer = client.get(f"/metadata/{name}.xml")
        assert answer.headers["content-type"].startswith("application/xml")
        root = ET.fromstring(answer.content)
        assert root.tag == f"{GMD}MD_Metadata"
        for element in root.iter():
            kind = element.tag.removeprefix(GMD)
            children = [child.tag.removeprefix(GMD) for child in element]
            if kind in SEQUENCES:
                order = SEQUENCES[kind].split()
                assert [order.index(child) for child in children] == sorted(order.index(child) for child in children)
                assert NEEDED.get(kind, set()) <= set(children), (name, kind)
            if not children:
                assert element.text and element.text.strip(), (name, element.tag)


def test_iso_metadata_says_class_and_lineage(client: TestClient) -> None:
    root = ET.fromstring(client.get("/metadata/persons.xml").content)
    (found,) = root.iter(f"{GMD}MD_ClassificationCode")
    assert found.get("codeListValue") == "confidential"
    zones = ET.fromstring(client.get("/metadata/flood-zones.xml").content)
    assert "2025-07-08" in (zones.findtext(f".//{GMD}statement/{GCO}CharacterString") or "")


def test_owslib_reads_iso_metadata(client: TestClient) -> None:
    iso = pytest.importorskip("owslib.iso", reason="owslib is not installed")
    etree = pytest.importorskip("lxml.etree")
    read = iso.MD_Metadata(etree.fromstring(client.get("/metadata/parcels.xml").content))
    assert (read.identifier, read.identification[0].title) == ("parcels", "Parcels")
    assert float(read.identification[0].bbox.minx) == -73.73
    assert any(online.url.endswith("/collections/parcels/items?f=json") for online in read.distribution.online)
