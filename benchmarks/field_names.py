"""The field detective against columns that people have named: which column is the parcel id?

First by names alone, on the parcel sources of OpenAddresses, each of which says which column is the id; then on real
files, by names alone and by names and values. Says how often the right column comes first, how often it is mapped, the
misses by kind, and how often a wrong column is mapped when the right one is taken away. A tie counts as a miss.

    scripts/bench field_names [--data ../shared/data] [--misses]
"""

from __future__ import annotations

import argparse
import collections
import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyogrio.raw

from statewide.crosswalk import Crosswalk, propose
from statewide.standard import Standard, Table, column_key, load_standard

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"

# What stands beside the id in parcel files, and much of it made up of the same words. A source that tells of few other
# columns is tried among these.
DISTRACTORS = (
    "OBJECTID", "GlobalID", "Shape_Area", "Shape_Length", "PARCEL_TYPE", "PARCEL_AREA", "PARCEL_ADDRESS", "PAR_DESC",
    "PARENTPIN_OLD", "TAX_DIST", "TAX_YEAR", "TAX_CODE", "MAP", "BLOCK", "LOT", "MAP_SHEET", "LOT_SIZE", "LOT_ACRES",
    "ACCOUNT_TYPE", "PROP_CLASS", "PROP_ADDR", "PROP_USE", "NUM_UNITS", "STREET_NUM", "HOUSE_NO", "DEED_BOOK",
    "DEED_PAGE", "GIS_ACRES", "SUBDIV_ID", "ZONING_ID", "NBHD_CODE", "PERMIT_NO", "PLAN_NO", "SALE_ID", "CENSUS_BLOCK",
    "SCHOOL_DIST", "ASSESSED_VALUE", "LAND_VALUE", "YEAR_BUILT", "EDIT_DATE", "LAST_EDITED_USER", "COMMENTS", "STATUS",
)  # fmt: skip

# Parts of an address that nobody takes for a parcel's number.
ADDRESS_PARTS = ("number", "unit", "street", "city", "district", "region", "postcode")

# File → the column that is the town's number of the parcel, as its publisher says.
FILES = {
    "deliveries/new_london_parcels_2025.zip": "Parcel_ID",
    "deliveries/woodstock_parcels_2025.gdb.zip": "Parcel_ID",
    "deliveries/chester_parcels_2025.gpkg": "Parcel_ID",
    "deliveries/franklin_parcels_2025.geojson": "Parcel_ID",
    "deliveries/franklin_parcels_2025_noprj.zip": "Parcel_ID",
    "ct-parcels-2025-sample/Canaan.xlsx": "Parcel_ID",
    "ct-parcels-2025-sample/Union.xlsx": "Parcel_ID",
    "ct-parcels-2025-sample/bridgeport_100_stateplane_multipolygonz.xlsx": "Parcel_ID",
    "ct-parcels-2025-sample/bridgeport_100_parcels_with_cama_no_owners.csv": "Parcel ID",
    "ct-west-hartford-hamden-parcels/hamden/data/data.csv": "id",
    "ma-cambridge/Assessing/FY2013/FY2013_Parcels/TaxFY13.csv": "ML",
    "ma-cambridge/Hydro/FEMA_Floodplain_Parcels_500_Year/FEMA_FloodPlainParcels500Year.geojson": "ML",
    "openaddresses-batch-machine/openaddr/tests/data/us-ca-alameda_county-excerpt.zip": "APN",
    "openaddresses-batch-machine/openaddr/tests/data/us-ca-san_francisco-excerpt.zip": "BLK_LOT",
    "openaddresses-batch-machine/openaddr/tests/data/us-ca-oakland-excerpt.zip": "APN",
    "openaddresses-batch-machine/openaddr/tests/data/us-ca-berkeley-excerpt.zip": "APN",
    "openaddresses-batch-machine/openaddr/tests/data/us-pa-bucks.geojson.zip": "PARCEL_NUM",
    "openaddresses-batch-machine/openaddr/tests/data/us-nm-washington-0.json": "PIN",
    "openaddresses-batch-machine/openaddr/tests/data/us-tx-waco-0.json": "PIN",
}


@dataclass(frozen=True)
class Source:
    """A published parcel layer: its columns as far as they are known, and which one is the parcel id."""

    name: str
    column: str
    others: tuple[str, ...]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the real data")
    parser.add_argument("--misses", action="store_true", help="list every miss")
    arguments = parser.parse_args()
    standard = load_standard()
    parcel = standard.table("parcel")
    sources = list(read_sources(arguments.data / "openaddresses-sources"))
    print(
        f"{len(sources):,} parcel layers, {len({column_key(each.column) for each in sources})} names of the parcel id"
    )
    print("Names alone; every column is given values that fit, so only names can tell")
    for title, table, hard in (
        ("beside the columns that the source names", parcel, False),
        (f"beside these and {len(DISTRACTORS)} hard ones", parcel, True),
        ("the same with no synonym: by words only", without_synonyms(parcel), True),
    ):
        outcomes = [outcome(standard, table, source, hard) for source in sources]
        tell(title, outcomes)
        if arguments.misses:
            for source, (verdict, kind) in zip(sources, outcomes, strict=True):
                if verdict != "first":
                    print(f"           {source.column:<30} {kind} ({source.name})")
    wrong = [mapped_without(standard, parcel, source) for source in sources]
    print(f"\nThe id taken away: a wrong column is mapped to it in {share(sum(map(bool, wrong)), len(wrong))}")
    for column, count in collections.Counter(filter(None, wrong)).most_common(8):
        print(f"  {count:>5}  {column}")
    told = json.loads((arguments.data / "openaddresses-sources" / "FIELD_NAMES_SEEN.json").read_text(encoding="utf-8"))
    strangers = [name for part in ADDRESS_PARTS for name in told[f"addresses.{part}"]]
    taken = [name for name in strangers if crosswalk(standard, parcel, [name]).mapping.keys() & {"parcel_id", "link"}]
    print(f"\nColumns of addresses, one by one: taken for a parcel's number in {share(len(taken), len(strangers))}")
    if taken:
        print(f"  {', '.join(taken)}")
    print("\nReal files: place of the right column by names, and by names and values")
    places = []
    for name, right in FILES.items():
        places.append(ranks(standard, parcel, read_columns(arguments.data / name), right))
        print(f"  {places[-1][0]!s:>5} {places[-1][1]!s:>5}   {right:<11} {Path(name).name}")
    for title, which in (("names", 0), ("names and values", 1)):
        print(f"  first by {title}: {share(sum(place[which] == 1 for place in places), len(places))}")


def read_sources(folder: Path) -> Iterator[Source]:
    """Parcel layers of the US sources, each with the columns that its conform and its addresses' name."""
    for path in sorted((folder / "sources" / "us").rglob("*.json")):
        layers = json.loads(path.read_text(encoding="utf-8")).get("layers", {})
        near = sorted(set(_columns([layer.get("conform", {}) for layer in layers.get("addresses", [])])))
        for layer in layers.get("parcels", []):
            if isinstance(column := layer.get("conform", {}).get("pid"), str):
                others = tuple(name for name in near if column_key(name) != column_key(column))
                yield Source(f"{path.parent.name}/{path.stem}", column, others)


def _columns(value: object, key: str = "") -> Iterator[str]:
    """Names of columns in a conform: plain, in lists, and inside functions."""
    if isinstance(value, str) and key not in ("format", "file", "function", "pattern", "replace", "srs", "separator"):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _columns(item, key)
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield from _columns(item, name)


def without_synonyms(table: Table) -> Table:
    """The same law, in which the parcel id is known by words only."""
    fields = tuple(
        field.model_copy(update={"synonyms": (), "name": "nameless"}) if field.name == "parcel_id" else field
        for field in table.fields
    )
    return table.model_copy(update={"fields": fields})


def outcome(standard: Standard, table: Table, source: Source, hard: bool) -> tuple[str, str]:
    """How the right column fared: "first" and how it was known, or the kind of miss."""
    found = crosswalk(standard, table, [*columns_beside(source, hard), source.column])
    field = next(item.name for item in table.town_fields if item.name in ("parcel_id", "nameless"))
    scores = {score.column: score for score in found.scores if score.field == field}
    best = max(scores.values(), key=lambda score: (score.total, score.column != source.column), default=None)
    mine = scores.get(source.column)
    if mine and best and best.column == source.column:
        known = "a synonym" if mine.name == 1 else "a synonym, spelt otherwise" if mine.name >= 0.9 else "its words"
        return "first", known if found.mapping.get(field) == source.column else f"{known}, too weak to be mapped"
    if source.column in found.withheld:
        return "missed", "withheld: it sounds like a person's"
    if source.column in found.ignored:
        return "missed", "set aside: a row number by its name"
    if other := next((name for name, column in found.mapping.items() if column == source.column), None):
        return "known", f"as the {other}, which also identifies the parcel" if other == "link" else f"as {other}"
    return "missed", "another column has a better name" if mine and best else "its name says nothing"


def mapped_without(standard: Standard, table: Table, source: Source) -> str | None:
    """The column that is taken for the parcel id when the right one is not there."""
    return crosswalk(standard, table, columns_beside(source, hard=True)).mapping.get("parcel_id")


def columns_beside(source: Source, hard: bool) -> list[str]:
    """The columns among which the id is to be found."""
    mine = {column_key(source.column)}
    return [
        name for name in dict.fromkeys((*source.others, *(DISTRACTORS if hard else ()))) if column_key(name) not in mine
    ]


def crosswalk(standard: Standard, table: Table, columns: Sequence[str]) -> Crosswalk:
    """The proposal for columns that all hold the same, fitting, values."""
    return propose(standard, table, pa.table([pa.array([f"{n}-{n}" for n in range(30)])] * len(columns), list(columns)))


def tell(title: str, outcomes: Sequence[tuple[str, str]]) -> None:
    """Print one line of result, and below it the kinds."""
    first = sum(verdict == "first" for verdict, _ in outcomes)
    print(f"\n  {title}: first in {share(first, len(outcomes))}")
    for (verdict, kind), count in collections.Counter(outcomes).most_common():
        print(f"  {count:>7,}  {verdict}: {kind}")


def share(part: int, whole: int) -> str:
    """As ``12 of 34 (35.3 %)``."""
    return f"{part:,} of {whole:,} ({part / whole:.1%})"


def read_columns(path: Path) -> pa.Table:
    """Attribute columns of a real file, at most 5,000 rows."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rows: pa.Table = pyogrio.raw.read_arrow(path, read_geometry=False, max_features=5000)[1]
        return rows


def ranks(standard: Standard, table: Table, rows: pa.Table, right: str) -> tuple[int | None, int | None]:
    """Place of the right column by names alone, and by names and values; None where it has no score."""
    names = pa.table([pa.array([f"{n}-{n}" for n in range(30)])] * rows.num_columns, rows.column_names)
    by_name, by_both = (_rank(propose(standard, table, each), right) for each in (names, rows))
    return by_name, by_both


def _rank(found: Crosswalk, column: str) -> int | None:
    totals = {score.column: score.total for score in found.scores if score.field == "parcel_id"}
    return (
        None
        if column not in totals
        else 1 + sum(total >= totals[column] for name, total in totals.items() if name != column)
    )


if __name__ == "__main__":
    main()
