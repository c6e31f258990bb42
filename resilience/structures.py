"""Structures in columns: what a flood loss is worked out from, and how each of it is known.

They come from the assessors' records of a town, by the tables of the law, or from a file in the columns of FEMA's FAST
or of the National Structure Inventory. What is not given gets the default that ``schemas/hazus/rules.yml`` states.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from resilience.damage_functions import ZONES, Floats, Hazus, Ints
from statewide.database import Connection, read_sql
from statewide.errors import UnreadableDelivery

Values = NDArray[Any]
Flags = NDArray[np.bool_]
_NUMBER = r"^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?$"


class How(IntEnum):
    """How an input is known: the code list `loss_input_how`, in its order."""

    unknown = 0
    given = 1
    from_words = 2
    from_homes = 3
    from_flood_zone = 4
    replacement_cost = 5
    appraised_building = 6
    default_of_use = 7
    default_of_foundation = 8
    default_of_occupancy = 9
    default = 10
    at_address = 11
    mean_over_parcel = 12
    at_point = 13


@dataclass(frozen=True)
class Known:
    """The values of one attribute and how each is known; where that is `unknown`, the value means nothing."""

    values: Values
    how: NDArray[np.uint8]

    @classmethod
    def of(cls, values: Values, how: How = How.given, there: Flags | None = None) -> Known:
        """Values that are known in one way where they are `there`: everywhere, or where a number is not NaN."""
        if there is None:
            there = ~np.isnan(values)
        return cls(values, np.where(there, np.uint8(how), np.uint8(How.unknown)))

    def otherwise(self, values: Values, how: How, there: Flags | None = None) -> Known:
        """The same, and where it is unknown, those values that are `there`."""
        other = Known.of(values, how, there)
        known = self.how != How.unknown
        return Known(np.where(known, self.values, other.values), np.where(known, self.how, other.how))

    @property
    def numbers(self) -> Floats:
        """The values, NaN where unknown."""
        return np.where(self.how == How.unknown, np.nan, self.values).astype(np.float64)

    def count(self) -> dict[str, int]:
        """How many are known in each way."""
        counts = np.bincount(self.how, minlength=len(How))
        return {how.name: int(counts[how]) for how in How if counts[how]}


@dataclass(frozen=True)
class Structures:
    """Structures with all their inputs.

    Args:
        labels: columns that identify a row, handed through to the answer.
        occupancy: place in `Rules.codes`.
        foundation: number of the kind.
        zone: place in `ZONES`.
        building_row: row of a function that the file itself names, -1 where it names none; so `content_row`.
        depth_ft: water above the ground; 0 is dry, unknown is not mapped.
    """

    labels: dict[str, pa.Array]
    occupancy: Known
    storeys: Known
    split_level: Flags
    foundation: Known
    zone: Known
    first_floor_height_ft: Known
    building_value_usd: Known
    content_value_usd: Known
    building_row: Ints
    content_row: Ints
    depth_ft: Known

    def __len__(self) -> int:
        return len(self.split_level)


def structures_of_town(connection: Connection, hazus: Hazus, town: str) -> Structures:
    """The assessed buildings of a town, read from what is published, with depths of the current depth grid.

    Args:
        town: its Census code.
    """
    cursor = connection.execute(
        read_sql("resilience", "structures_of_town"),
        {"town": town, "mapped_share_pct": hazus.rules.parcel_mapped_share_pct},
    )
    names = [column.name for column in cursor.description or ()]
    rows = cursor.fetchall()
    columns = dict(zip(names, zip(*rows, strict=True) if rows else [()] * len(names), strict=True))
    return structures_of_records(columns, hazus)


def structures_of_records(columns: Mapping[str, Any], hazus: Hazus) -> Structures:
    """Structures of assessors' records in the columns of ``sql/structures_of_town.sql``."""
    rules = hazus.rules

    def numbers(name: str) -> Floats:
        return np.array(columns[name], dtype=np.float64)

    def texts(name: str) -> pa.Array:
        return pa.array(columns[name], pa.string())

    foundation_words = _read(texts("basement_type"), rules.foundation_of_words)
    basement = np.array([bool(there) for there in columns["has_basement"]], dtype=np.bool_)
    basement_number = next(kind.number for kind in rules.foundations.types if kind.letter == "B")
    replacement, appraised = numbers("replacement_cost_usd"), numbers("appraised_building_usd")
    return _with_defaults(
        hazus,
        labels={name: texts(name) for name in ("parcel_uid", "cousub_fips", "depth_version")}
        | {name: pa.array(numbers(name), from_pandas=True) for name in ("longitude", "latitude")},
        occupancy=_occupancy(texts("use_class"), texts("state_use_description"), numbers("homes"), hazus),
        storeys=Known.of(_positive(numbers("storeys"))),
        split_level=_read(texts("style_description"), rules.is_split_level) == 1.0,
        foundation=Known.of(foundation_words, How.from_words).otherwise(
            np.full(len(basement), float(basement_number)), How.given, basement
        ),
        zone=Known.of(_read(texts("zone"), rules.zone), How.from_flood_zone),
        building_value_usd=Known.of(_positive(replacement), How.replacement_cost).otherwise(
            _positive(appraised), How.appraised_building
        ),
        depth_ft=Known.of(numbers("depth_at_address_ft"), How.at_address).otherwise(
            numbers("depth_over_parcel_ft"), How.mean_over_parcel
        ),
    )


@dataclass(frozen=True)
class StructureFile:
    """A file of structures: its text columns under our names, and what was not understood of it."""

    columns: dict[str, pa.Array]
    rows: int

    def numbers(self, name: str) -> Floats:
        """A column of numbers; NaN where it is empty, no number, or not in the file."""
        return _numbers(self.columns[name]) if name in self.columns else np.full(self.rows, np.nan)

    def not_numbers(self) -> dict[str, int]:
        """How many values of each column of numbers are none."""
        named = (name for name in _NUMERIC if name in self.columns)
        counts = {name: self.rows - self.columns[name].null_count - _count(self.numbers(name)) for name in named}
        return {name: count for name, count in counts.items() if count}


def read_structures(path: Path, hazus: Hazus) -> StructureFile:
    """Read a file of comma-separated values with the columns of FAST, of the National Structure Inventory, or ours.

    Raises:
        UnreadableDelivery: it is no such file, or lacks a column that there is no default for.
    """
    import pyarrow.csv

    try:
        names = pyarrow.csv.open_csv(path).schema.names
        table = pyarrow.csv.read_csv(
            path,
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=True, null_values=["", "NULL", "NA"]
            ),
        )
    except FileNotFoundError as error:
        raise UnreadableDelivery(f"There is no file {path}.") from error
    except (ValueError, OSError) as error:
        # The reader's own words quote the row.
        raise UnreadableDelivery(
            f"{path.name} is not a file of comma-separated values in UTF-8 with as many values in each row as columns."
        ) from error
    at = {name.casefold().strip(): place for place, name in reversed(list(enumerate(names)))}
    columns = {
        ours: _trimmed(table.column(at[theirs.casefold()]).combine_chunks())
        for ours, spellings in hazus.rules.columns.items()
        for theirs in spellings[::-1]
        if theirs.casefold() in at
    }
    for needed in ("structure_id", "occupancy", "building_value_usd"):
        if needed not in columns:
            known = ", ".join(hazus.rules.columns[needed])
            raise UnreadableDelivery(f"{path.name} has no column {needed} (also called: {known}).")
    return StructureFile(columns, len(table))


def structures_of_file(file: StructureFile, hazus: Hazus, depth_ft: Known) -> Structures:
    """The structures of a file, with water of that depth at the ground of each."""
    rules = hazus.rules
    empty = pa.nulls(file.rows, pa.string())

    def texts(name: str) -> pa.Array:
        return file.columns.get(name, empty)

    codes = {code: place for place, code in enumerate(rules.codes)}
    occupancy = _read(texts("occupancy"), lambda text: codes.get(text.partition("-")[0].strip().upper()))
    suffixes = {name: suffix.model_dump() for name, suffix in rules.inventory_suffixes.items()}

    def suffixed(part: str) -> Floats:
        return _read(texts("occupancy"), lambda text: suffixes.get(text.partition("-")[2][:4].upper(), {}).get(part))

    storeys = _positive(file.numbers("storeys"))
    single = occupancy == codes["RES1"]
    foundation = Known.of(_read(texts("foundation"), rules.foundation))
    basement = suffixed("basement")
    kinds = {kind.letter: float(kind.number) for kind in rules.foundations.types}
    return _with_defaults(
        hazus,
        labels={"structure_id": texts("structure_id")}
        | {name: pa.array(file.numbers(name), from_pandas=True) for name in ("longitude", "latitude")},
        occupancy=Known.of(occupancy),
        storeys=Known.of(storeys).otherwise(suffixed("storeys"), How.given),
        split_level=(single & (np.nan_to_num(storeys) % 1 != 0)) | (suffixed("split_level") == 1.0),
        foundation=foundation.otherwise(
            np.where(basement == 1.0, kinds["B"], kinds["S"]), How.given, ~np.isnan(basement)
        ),
        zone=Known.of(_read(texts("zone"), rules.zone)),
        first_floor_height_ft=Known.of(file.numbers("first_floor_height_ft")),
        building_value_usd=Known.of(_positive(file.numbers("building_value_usd"))),
        content_value_usd=Known.of(file.numbers("content_value_usd")),
        building_row=hazus.buildings.rows(_whole(file.numbers("building_ddf_id"))),
        content_row=hazus.contents.rows(_whole(file.numbers("content_ddf_id"))),
        depth_ft=depth_ft,
    )


def _with_defaults(
    hazus: Hazus,
    *,
    labels: dict[str, pa.Array],
    occupancy: Known,
    storeys: Known,
    split_level: Flags,
    foundation: Known,
    zone: Known,
    building_value_usd: Known,
    depth_ft: Known,
    first_floor_height_ft: Known | None = None,
    content_value_usd: Known | None = None,
    building_row: Ints | None = None,
    content_row: Ints | None = None,
) -> Structures:
    rules = hazus.rules
    nothing = Known.of(np.full(len(split_level), np.nan))
    none_named = np.full(len(split_level), -1)
    foundation = foundation.otherwise(np.full(len(split_level), float(rules.foundations.default)), How.default)
    height = np.full(1 + max(kind.number for kind in rules.foundations.types), np.nan)
    for kind in rules.foundations.types:
        height[kind.number] = kind.first_floor_ft
    content_share = np.array([kind.content_pct / 100.0 for kind in rules.occupancies])
    known = (occupancy.how != How.unknown) & (building_value_usd.how != How.unknown)
    contents = building_value_usd.numbers * content_share[np.where(known, occupancy.numbers, 0.0).astype(np.int64)]
    return Structures(
        labels=labels,
        occupancy=occupancy,
        storeys=storeys.otherwise(np.full(len(split_level), rules.storeys.default), How.default),
        split_level=split_level,
        foundation=foundation,
        zone=zone.otherwise(np.full(len(split_level), float(ZONES.index(rules.zones.default))), How.default),
        first_floor_height_ft=(first_floor_height_ft or nothing).otherwise(
            height[foundation.values.astype(np.int64)], How.default_of_foundation
        ),
        building_value_usd=building_value_usd,
        content_value_usd=(content_value_usd or nothing).otherwise(contents, How.default_of_occupancy, known),
        building_row=none_named if building_row is None else building_row,
        content_row=none_named if content_row is None else content_row,
        depth_ft=depth_ft,
    )


def _occupancy(use_class: pa.Array, words: pa.Array, homes: Floats, hazus: Hazus) -> Known:
    """By the words for the use, by the number of homes where the use class goes by it, else by the use class alone."""
    rules = hazus.rules
    codes = {code: float(place) for place, code in enumerate(rules.codes)}
    pairs = pc.binary_join_element_wise(pc.fill_null(use_class, ""), pc.fill_null(words, ""), "|")

    def told(text: str) -> float | None:
        use, _, said = text.partition("|")
        return codes.get(rules.occupancy_of_words(use, said) or "")

    def by_homes(use: str) -> bool:
        return use in rules.occupancy_of_use and rules.occupancy_of_use[use].by_homes

    def alone(use: str) -> float | None:
        return codes[rules.occupancy_of_use[use].otherwise] if use in rules.occupancy_of_use else None

    least = sorted((count, codes[code]) for code, count in rules.homes.items())
    place = np.searchsorted([count for count, _ in least], np.nan_to_num(homes), side="right") - 1
    of_homes = np.array([code for _, code in least])[np.maximum(place, 0)]
    counted = (place >= 0) & (_read(use_class, by_homes) == 1.0)
    return (
        Known.of(_read(pairs, told), How.from_words)
        .otherwise(of_homes, How.from_homes, counted)
        .otherwise(_read(use_class, alone), How.default_of_use)
    )


def _read(texts: pa.Array, meaning: Callable[[str], float | bool | None]) -> Floats:
    """What each text means, asked once for each distinct one; NaN where it means nothing or is empty."""
    encoded = texts.dictionary_encode()
    found = (meaning(text) for text in encoded.dictionary.to_pylist())
    meanings = np.array([*(np.nan if value is None else float(value) for value in found), np.nan])
    places = encoded.indices.fill_null(len(meanings) - 1).to_numpy(zero_copy_only=False)
    read: Floats = meanings[places]
    return read


def _trimmed(texts: pa.Array) -> pa.Array:
    """Without blanks at the ends, with which Hazus pads its codes; null where nothing is left."""
    trimmed = pc.utf8_trim_whitespace(texts)
    return pc.if_else(pc.equal(trimmed, ""), pa.scalar(None, pa.string()), trimmed)


def _numbers(texts: pa.Array) -> Floats:
    plain = pc.if_else(pc.match_substring_regex(texts, _NUMBER), texts, pa.scalar(None, pa.string()))
    numbers: Floats = plain.cast(pa.float64()).to_numpy(zero_copy_only=False)
    return np.where(np.isinf(numbers), np.nan, numbers)


_NUMERIC = (
    "longitude",
    "latitude",
    "storeys",
    "first_floor_height_ft",
    "building_value_usd",
    "content_value_usd",
    "building_ddf_id",
    "content_ddf_id",
    "depth_ft",
)


def _count(numbers: Floats) -> int:
    return int(np.count_nonzero(~np.isnan(numbers)))


def _positive(numbers: Floats) -> Floats:
    """NaN where a number is 0 or less: a building of no storey or no value is one of which that is not known."""
    with np.errstate(invalid="ignore"):
        return np.where(numbers > 0, numbers, np.nan)


def _whole(numbers: Floats) -> Ints:
    """Whole numbers, -1 where there is none."""
    return np.where(np.isnan(numbers), -1, numbers).astype(np.int64)
