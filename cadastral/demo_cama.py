"""The assessor's (CAMA) files of ``statewide demo``: a record for each lot and unit of an invented town, as text.

Each town writes in a dialect of its own: the State's names in snake case, smashed or in title case, or those of its
software; use codes of four digits, of three, zero-padded or with a decimal point. A dirty town's file has the faults of
``DIRT``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import shapely
from numpy.typing import NDArray

from cadastral.demo import CANARY, YEAR, attributes, joined
from cadastral.demo_fabric import LOT, OPEN, draw_fabric
from statewide.demo import InventedTown, World

DIRT = {
    "assessed-is-appraised": 5,
    "parts-differ": 3,
    "no-value": 3,
    "built-in-the-future": 2,
    "sold-in-the-future": 2,
    "other-town": 3,
    "blank-link": 2,
    "negative-value": 2,
    "same-again": 4,
    "unknown-use": 6,
}
"""The faults of a dirty town's file and how many records have each. It also lacks the suppression column."""

_SQFT_PER_ACRE = 43_560
_ASSESSED_SHARE = 0.7

# Kind of property → words, and its code in the four dialects of use codes.
_USES = {
    "single": ("Single Family", "1010", "101", "0101", "101.0"),
    "condo": ("Condominium", "1020", "102", "0102", "105.0"),
    "multi": ("Two Family", "1040", "104", "0104", "104.0"),
    "commercial": ("Store/Shop", "3220", "322", "0322", "201.0"),
    "vacant": ("Vacant Residential Land", "1300", "500", "0500", "501.0"),
    "exempt": ("Municipal Park", "9030", "903", "0903", "21.0"),
}
_TOWN_NAMES = {
    "pid": "Vision_ID",
    "link": "GIS_LINK",
    "location": "PROP_LOC",
    "assessed_total": "TOT_ASSESS",
    "appraised_total": "TOT_APPR",
    "state_use": "LUC",
    "state_use_description": "LUC_DESC",
    "ayb": "YR_BUILT",
    "owner": "OWNER1",
    "suppression": "CGS_1_217",
}


@dataclass(frozen=True)
class Dialect:
    """How a town names its columns and codes its uses."""

    title: str
    uses: int
    suppression: bool = True

    def name(self, column: str) -> str:
        """The State's snake-case name as this town writes it."""
        if self.title == "smashed":
            return column.replace("_", "")
        if self.title == "title case":
            return column.replace("_", " ").title()
        return _TOWN_NAMES.get(column, column.upper()) if self.title == "software" else column


_ROTATION = (
    Dialect("snake case", 1),
    Dialect("smashed", 2),
    Dialect("title case", 3),
    Dialect("software", 4, suppression=False),
)


def write_cama(world: World, town: InventedTown, folder: Path) -> Path:
    """The town's file. One that is there already is kept."""
    file = folder / f"{town.name.replace(' ', '_')}_{YEAR}_CAMA.csv"
    if not file.exists():
        partial = file.with_suffix(".partial")
        pa.csv.write_csv(cama_rows(world, town), partial)
        partial.replace(file)
    return file


def dialect(world: World, town: InventedTown) -> Dialect:
    """The town's; a dirty town has the State's names and no suppression column."""
    clean = [other.town_no for other in world.towns if not other.dirty]
    return Dialect("snake case", 1, suppression=False) if town.dirty else _ROTATION[clean.index(town.town_no) % 4]


def cama_rows(world: World, town: InventedTown) -> pa.Table:
    """The records of the town's file, faults and all, under the town's own names."""
    rng = np.random.default_rng([world.seed, town.town_no, 4])
    spoken = dialect(world, town)
    columns = _records(world, town, spoken, rng)
    if town.dirty:
        columns = _plant_faults(world, town, columns, rng)
    return columns.rename_columns([spoken.name(name) for name in columns.column_names])


def _records(world: World, town: InventedTown, spoken: Dialect, rng: np.random.Generator) -> pa.Table:
    fabric = draw_fabric(world, town)
    parcels = pa.table(attributes(world, town, fabric))
    kind = np.array(parcels["Parcel_Type"].to_pylist(), dtype=object)
    assessed = ((fabric.kind == LOT) | (fabric.kind == OPEN)) & ~fabric.site & (rng.random(len(kind)) >= 0.003)
    # A lot with several dwellings has three or four flats that are owned apart; some houses have a second card.
    flats = np.where(assessed & (kind == "MULTI") & (rng.random(len(kind)) < 0.3), rng.integers(3, 5, len(kind)), 1)
    second_card = assessed & (kind == "SINGLE") & (rng.random(len(kind)) < 0.01)
    of = np.repeat(np.flatnonzero(assessed), flats[assessed])
    nth = np.concatenate([np.arange(count) for count in flats[assessed]]) if len(of) else of
    pid = np.arange(len(of)) + 100
    cards = np.flatnonzero(second_card[of])
    of, nth, pid = (np.concatenate([values, values[cards]]) for values in (of, nth, pid))
    card = np.concatenate([np.ones(len(of) - len(cards), dtype=np.int64), np.full(len(cards), 2)])

    use = np.select(
        [flats[of] > 1, kind[of] == "CONDO", kind[of] == "MULTI", kind[of] == "PARCEL", kind[of] == "OPEN SPACE"],
        ["condo", "condo", "multi", "commercial", "exempt"],
        np.where(rng.random(len(of)) < 0.06, "vacant", "single"),
    ).astype(object)
    use[len(use) - len(cards) :] = use[cards]  # both cards of a record say the same
    area = shapely.area(fabric.geometry)[of]
    vacant = np.isin(use, ["vacant", "exempt"])
    living = np.where(
        vacant,
        0,
        np.where(use == "commercial", rng.integers(30, 400, len(of)) * 100, rng.integers(70, 380, len(of)) * 10),
    )
    land = np.where(use == "condo", 0, np.round(20_000 + area * 3, -2))
    building = living * rng.integers(110, 190, len(of))
    other = np.where(vacant | (rng.random(len(of)) < 0.7), 0, rng.integers(5, 200, len(of)) * 100)
    first = len(of) - len(cards)
    for values in (land, building, other):
        values[first:] = values[cards]
    appraised = land + building + other
    built = np.where(vacant, 0, rng.integers(1790, YEAR, len(of)))
    sold = np.datetime64("1995-01-01") + rng.integers(0, 10_000, len(of))
    month = sold.astype("datetime64[M]")
    location = parcels["Location"].take(pa.array(of))
    number = joined(" #", location, nth + 1)
    words = [_USES[name][0] for name in use]
    found: dict[str, Any] = {
        "pid": pid.astype(str),
        "account_number": pc.utf8_lpad(pa.array((pid + 7000).astype(str)), width=8, padding="0"),
        "link": parcels["Link"].take(pa.array(of)),
        "town_name": np.full(len(of), town.name),
        "location": pc.if_else(pa.array(flats[of] > 1), number, location),
        "unit": np.where(flats[of] > 1, (nth + 1).astype(str), ""),
        "owner": joined(" ", np.full(len(of), f"{CANARY} OWNER"), pid),
        "co_owner": joined(" ", np.full(len(of), f"{CANARY} CO-OWNER"), pid),
        "mailing_address": joined(" ", pid, np.full(len(of), f"{CANARY} LANE")),
        "assessed_total": _decimal(np.round(appraised * _ASSESSED_SHARE, -1)),
        "assessed_land": _decimal(np.round(land * _ASSESSED_SHARE, -1)),
        "assessed_building": _decimal(np.round((building + other) * _ASSESSED_SHARE, -1)),
        "appraised_land": _decimal(land),
        "appraised_building": _decimal(building),
        "appraised_outbuilding": _decimal(other),
        "valuation_year": _decimal(np.full(len(of), YEAR - 1 - town.town_no % 5)),
        "land_acres": np.round(np.where(use == "condo", 0, area / _SQFT_PER_ACRE), 2).astype(str),
        "state_use": [_USES[name][spoken.uses] for name in use],
        "state_use_description": words,
        "ayb": _decimal(built),
        "living_area": _decimal(living),
        "number_of_bedroom": _decimal(np.where(np.isin(use, ["single", "condo"]), 1 + living // 900, 0)),
        "occupancy": _decimal(np.select([use == "multi", np.isin(use, ["single", "condo"])], [2, 1], 0)),
        "sale_price": _decimal(np.where(rng.random(len(of)) < 0.3, 0, np.round(appraised * 0.9, -3))),
        "sale_date": joined(
            "/",
            month.astype(np.int64) % 12 + 1,
            (sold - month.astype("datetime64[D]")).astype(np.int64) + 1,
            month.astype("datetime64[Y]").astype(np.int64) + 1970,
        ),
        "building_no": card.astype(str),
    }
    if spoken.title != "smashed":  # the others give the total; here it has to be added up
        found["appraised_total"] = _decimal(appraised)
    if spoken.suppression:
        found["suppression"] = np.where(pid % 97 == 5, "Y", "N")
    lost = np.flatnonzero((rng.random(len(of)) < 0.005) & (card == 1))
    table = pa.table({name: pa.array(values, pa.string()) for name, values in found.items()})
    return _changed(table, "link", {int(row): f"GONE-{row}" for row in lost})


def _decimal(values: NDArray[Any]) -> list[str]:
    """Numbers as the State's report has them: text with a decimal point."""
    return [f"{value:.1f}" for value in values.tolist()]


def _changed(table: pa.Table, column: str, cells: dict[int, str]) -> pa.Table:
    values = table[column].to_pylist()
    for row, value in cells.items():
        values[row] = value
    return table.set_column(table.column_names.index(column), column, pa.array(values, pa.string()))


def _plant_faults(world: World, town: InventedTown, table: pa.Table, rng: np.random.Generator) -> pa.Table:
    """Spoil single-family records, each in one way only."""
    simple = np.flatnonzero(np.array(table["state_use_description"].to_pylist()) == _USES["single"][0])
    spoiled = iter(rng.choice(simple, sum(DIRT.values()), replace=False).tolist())
    rows = {fault: [next(spoiled) for _ in range(count)] for fault, count in DIRT.items()}
    neighbour = next(other for other in world.towns if other is not town)
    changes: dict[str, tuple[str, Any]] = {
        "assessed-is-appraised": ("assessed_total", lambda row: table["appraised_total"][row].as_py()),
        "parts-differ": ("appraised_land", lambda row: "1.0"),
        "built-in-the-future": ("ayb", lambda row: f"{YEAR + 40}.0"),
        "sold-in-the-future": ("sale_date", lambda row: "7/4/2099"),
        "other-town": ("town_name", lambda row: neighbour.name),
        "blank-link": ("link", lambda row: ""),
        "negative-value": ("appraised_outbuilding", lambda row: "-100.0"),
        "unknown-use": ("state_use", lambda row: "ZZ9"),
    }
    for fault, (column, value) in changes.items():
        table = _changed(table, column, {row: value(row) for row in rows[fault]})
    for column in [name for name in table.column_names if name.startswith(("assessed", "appraised"))]:
        table = _changed(table, column, dict.fromkeys(rows["no-value"], "0.0"))
    table = _changed(table, "state_use_description", dict.fromkeys(rows["unknown-use"], ""))
    return pa.concat_tables([table, table.take(pa.array(rows["same-again"]))])
