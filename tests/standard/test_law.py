"""The law keeps its own rules: what breaks them is refused with file and place, and what it promises holds."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from statewide.build import build
from statewide.errors import LawError
from statewide.settings import ROOT
from statewide.standard import Standard, column_key, load_standard, read_standard

SCHEMAS = ROOT / "schemas"


@pytest.fixture(scope="module")
def standard() -> Standard:
    return load_standard()


@pytest.fixture
def broken(tmp_path: Path) -> Callable[[str, str, str], LawError]:
    """Reads a copy of the law in which one passage of one file was exchanged, and returns the refusal."""

    def read(name: str, passage: str, instead: str) -> LawError:
        shutil.copytree(SCHEMAS, tmp_path / "schemas")
        path = tmp_path / "schemas" / name
        text = path.read_text(encoding="utf-8")
        assert passage in text
        path.write_text(text.replace(passage, instead, 1), encoding="utf-8")
        with pytest.raises(LawError) as refusal:
            read_standard(tmp_path / "schemas")
        return refusal.value

    return read


def test_misspelt_key_is_refused_with_file_and_place(broken: Callable[[str, str, str], LawError]) -> None:
    message = str(broken("tables/parcel.yml", "    filled_by: platform", "    filed_by: platform"))
    assert message == "schemas/tables/parcel.yml: fields.0.filed_by: the key 'filed_by' is not known here."


def test_spelling_that_stands_for_two_codes_is_refused(broken: Callable[[str, str, str], LawError]) -> None:
    message = str(broken("codes/parcel_type_class.yml", "variants: [pond,", "variants: [Park, pond,"))
    assert message.startswith("schemas/codes/parcel_type_class.yml: ")
    assert "'park'" in message
    assert "water" in message
    assert "open_space" in message


def test_column_name_that_stands_for_two_fields_is_refused(broken: Callable[[str, str, str], LawError]) -> None:
    message = str(broken("tables/parcel.yml", "synonyms: [CAMA_Link,", "synonyms: [CAMA_Link, parcel id,"))
    assert message.startswith("schemas/tables/parcel.yml: the column name")
    assert "cama_link and parcel_id" in message


def test_table_is_extended_by_one_of_the_same_key_only(broken: Callable[[str, str, str], LawError]) -> None:
    message = str(broken("tables/parcel.yml", "extended_by: [parcel_value]", "extended_by: [assessment_place]"))
    assert message.startswith("schemas/tables/parcel.yml: extended_by 'assessment_place'")


def test_check_that_holds_rows_must_name_each(broken: Callable[[str, str, str], LawError]) -> None:
    passage = '  others: "{rows} more have neither a parcel number nor a link."\n'
    assert "rows_shown needs `others`" in str(broken("checks.yml", passage, ""))


def test_person_column_cannot_become_a_field(broken: Callable[[str, str, str], LawError]) -> None:
    message = str(broken("tables/parcel.yml", "synonyms: [CAMA_Link,", "synonyms: [Owner Name,"))
    assert message == (
        "schemas/tables/parcel.yml: cama_link: the synonym 'Owner Name' names a person (owner) in standard.yml."
    )


def test_code_list_that_does_not_exist_is_refused(broken: Callable[[str, str, str], LawError]) -> None:
    message = str(broken("tables/parcel.yml", "codes: parcel_type_class", "codes: parcel_class"))
    assert message.startswith("schemas/tables/parcel.yml: parcel_type_class: no code list is named 'parcel_class'")


def test_field_that_is_not_public_cannot_be_in_a_tile(broken: Callable[[str, str, str], LawError]) -> None:
    message = str(broken("tables/parcel.yml", "14: [parcel_uid,", "14: [editor, parcel_uid,"))
    assert "tiles carry fields that are not public: editor" in message


def test_register_has_169_towns_and_nine_regions(standard: Standard) -> None:
    towns = standard.municipalities
    assert len({town.cousub_fips for town in towns}) == len(towns) == 169
    assert sorted(town.town_no for town in towns) == list(range(1, 170))
    regions = {region.planning_region_fips: region.town_count for region in standard.planning_regions}
    assert len(regions) == 9
    assert {fips: [t.planning_region_fips for t in towns].count(fips) for fips in regions} == regions


def test_town_numbers_follow_the_alphabet_with_blanks_ignored(standard: Standard) -> None:
    by_number = [town.town_name for town in sorted(standard.municipalities, key=lambda town: town.town_no)]
    assert by_number == sorted(by_number, key=lambda name: name.replace(" ", "").casefold())
    assert by_number[38:40] == ["Eastford", "East Granby"]


def test_both_census_vintages_end_in_the_town_code(standard: Standard) -> None:
    for town in standard.municipalities:
        assert town.geoid_2020_county == town.county_fips_legacy + town.cousub_fips
        assert town.geoid_2022_planning_region == town.planning_region_fips + town.cousub_fips


def test_every_town_has_one_outline_inside_the_state(standard: Standard) -> None:
    features = json.loads((SCHEMAS / "authority" / "town_outlines.geojson").read_text(encoding="utf-8"))["features"]
    codes = [feature["properties"]["cousub_fips"] for feature in features]
    assert sorted(codes) == sorted(town.cousub_fips for town in standard.municipalities)
    west, south, east, north = standard.header.extent.bbox
    corners = [xy for f in features for part in f["geometry"]["coordinates"] for ring in part for xy in ring]
    assert all(west <= x <= east and south <= y <= north for x, y in corners)


def test_every_description_is_a_sentence(standard: Standard) -> None:
    told = {f"{t.name}.{f.name}": f.description for t in standard.tables.values() for f in t.fields}
    told |= {table.name: table.description for table in standard.tables.values()}
    told |= {t.name: t.collection.description for t in standard.tables.values() if t.collection}
    told |= {f"codes/{code_list.name}": code_list.description for code_list in standard.code_lists.values()}
    told |= {
        f"codes/{code_list.name}: {code.code}": code.description
        for code_list in standard.code_lists.values()
        for code in code_list.codes
        if code.description
    }
    fragments = [where for where, text in told.items() if not re.search(r"^[A-Z0-9`].*\.$", text.strip(), re.DOTALL)]
    assert fragments == []


def test_names_that_end_in_a_unit_have_that_unit(standard: Standard) -> None:
    units = {"sqft": "sq ft", "acres": "acres", "ft": "ft", "usd": "USD"}
    for table in standard.tables.values():
        for field in table.fields:
            ending = field.name.rpartition("_")[2]
            assert units.get(ending) in (None, field.unit), f"{table.name}.{field.name}"


def test_examples_keep_the_limits_of_their_field(standard: Standard) -> None:
    for table in standard.tables.values():
        for field in table.fields:
            for example in field.examples:
                where = f"{table.name}.{field.name}: {example!r}"
                assert field.pattern is None or re.search(field.pattern, str(example)), where
                assert field.max_length is None or len(str(example)) <= field.max_length, where
                assert field.minimum is None or float(example) >= field.minimum, where
                assert field.maximum is None or float(example) <= field.maximum, where
                assert isinstance(example, str) is (field.type not in ("integer", "number", "boolean")), where
                if field.codes:
                    assert example in {code.code for code in standard.code_lists[field.codes].codes}, where


def test_tables_of_the_street_name_no_person(standard: Standard) -> None:
    persons = re.compile(r"owner|grantee|grantor|mailing|phone|email|occupant|taxpayer|subscriber")
    for table in standard.tables.values():
        assert [field.name for field in table.public_fields if persons.search(field.name)] == []


def test_street_types_read_the_abbreviations_of_the_postal_service(standard: Standard) -> None:
    read = standard.code_lists["street_type"].lookup()
    assert [read[word] for word in ("st", "ave", "tpke", "la", "ct", "ext")] == [
        "Street",
        "Avenue",
        "Turnpike",
        "Lane",
        "Court",
        "Extension",
    ]
    # In Connecticut's files these are Terrace and Circle, elsewhere Trail and Creek: nobody may guess.
    assert "tr" not in read
    assert "cr" not in read


def test_column_names_meet_in_any_spelling() -> None:
    spellings = ["Assessed_Total", "Assessed Total", "assessedtotal", "ASSESSED-TOTAL"]
    assert {column_key(name) for name in spellings} == {"assessedtotal"}


def test_every_example_names_checks_of_the_law(standard: Standard) -> None:
    for folder in ("examples", "counterexamples"):
        for path in sorted((SCHEMAS / folder).rglob("*.json")):
            example = json.loads(path.read_text(encoding="utf-8"))
            assert set(example) == {"title", "town", "feature", "raises"}, path.name
            assert bool(example["raises"]) == (folder == "counterexamples"), path.name
            assert example["town"] in {town.town_name for town in standard.municipalities}, path.name
            for code in example["raises"]:
                assert path.parent.name in standard.checks[code].datasets, path.name


@pytest.mark.parametrize("dataset", ["parcel", "assessment"])
def test_every_check_of_a_row_has_a_counterexample(standard: Standard, dataset: str) -> None:
    shown = {
        code
        for path in (SCHEMAS / "counterexamples" / dataset).glob("*.json")
        for code in json.loads(path.read_text(encoding="utf-8"))["raises"]
    }
    checks = {check.code for check in standard.checks.values() if check.level == "row" and dataset in check.datasets}
    assert checks - shown == set()


def test_generated_files_are_what_the_law_says_now() -> None:
    assert build(ROOT, check=True) == []


def test_build_writes_what_drifted_and_deletes_what_nothing_makes(tmp_path: Path) -> None:
    shutil.copytree(SCHEMAS, tmp_path / "schemas")
    config = tmp_path / "pygeoapi-config.yml"
    shutil.copy(ROOT / "pygeoapi-config.yml", config)
    build(tmp_path, check=False)
    wanted = config.read_text(encoding="utf-8")
    config.write_text(wanted.replace("id_field: parcel_uid", "id_field: link", 1), encoding="utf-8")
    generated = tmp_path / "schemas" / "generated"
    (generated / "dictionary.md").write_text("edited by hand\n", encoding="utf-8")
    (generated / "of_yesterday.schema.json").write_text("{}\n", encoding="utf-8")
    drifted = ["pygeoapi-config.yml", "schemas/generated/dictionary.md", "schemas/generated/of_yesterday.schema.json"]
    assert build(tmp_path, check=True) == drifted
    assert build(tmp_path, check=False) == drifted
    assert build(tmp_path, check=True) == []
    assert config.read_text(encoding="utf-8") == wanted
    assert not (generated / "of_yesterday.schema.json").exists()


@pytest.mark.parametrize(
    ("passage", "instead", "said"),
    [
        ("points: 15, none_at", "points: 16, none_at", "must add up to 100"),
        ("name: parcel_address", "name: parcel_number", "named twice"),
        ("field: land_acres", "field: land_hectares", "assessment.land_hectares does not exist"),
        ("field: land_acres", "recommended: true, field: land_acres", "one of field, recommended"),
        ("free_of: [OVERLAP,", "free_of: [OVERLAPS,", "no check is named OVERLAPS"),
        ("none_at: 0.5, full_at: 0.98", "none_at: 0.98, full_at: 0.5", "none_at must be below full_at"),
        ("assessment: assessor’s file", "valuation: assessor’s file", "files does not name assessment"),
    ],
)
def test_a_score_that_does_not_add_up_is_refused(
    broken: Callable[[str, str, str], LawError], passage: str, instead: str, said: str
) -> None:
    message = str(broken("score/roll.yml", passage, instead))
    assert message.startswith("schemas/score/roll.yml")
    assert said in message
