"""The address points of ``statewide demo`` as deliveries: each invented town hands in a file as real towns do.

The points are drawn by ``addresses.demo_points``. The files rotate through the shapes seen in the wild; a dirty town's
file has the faults of ``DIRT``, and the capitals and abbreviations of its software.
"""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyogrio
import shapely
from numpy.typing import NDArray
from pyproj import Transformer

from addresses.demo_points import DrawnPoints, draw_points, read_lots
from addresses.points import submit
from statewide.demo import CRS, DemoContext, Floats, InventedTown, World
from statewide.errors import BadArgument
from statewide.intake import Request
from statewide.settings import Settings
from statewide.standard import load_standard

YEAR = 2025
CANARY = "CANARY"
"""Stands in every value that names a person: wherever it turns up later, a person leaked."""

DIRT = {
    "no-place": 3,
    "outside-town": 2,
    "other-town": 3,
    "no-number": 3,
    "number-zero": 2,
    "no-street": 2,
    "null-string": 4,
    "misspelt-street": 6,
    "wrong-side": 4,
    "out-of-order": 2,
    "other-address-same-place": 2,
    "unit-word-alone": 2,
    "zip-of-elsewhere": 2,
    "retired": 5,
    "person-in-note": 8,
    "person-as-site": 3,
    "same-again": 3,
    "same-address-elsewhere": 3,
}
"""The faults of a dirty town and how many rows have each."""

_FULL_ROTATION = 50_000
"""Up to so many parcels in all a clean town's format rotates; beyond, it is the one that is written fastest."""

_SHORT = {
    "Street": "ST",
    "Road": "RD",
    "Lane": "LN",
    "Avenue": "AVE",
    "Drive": "DR",
    "Way": "WAY",
    "Terrace": "TER",
    "Place": "PL",
    "Court": "CT",
    "Extension": "EXT",
    "North": "N",
    "South": "S",
    "East": "E",
    "West": "W",
    "Apartment": "APT",
    "Suite": "STE",
}
_NENA2 = {
    "A1": "State",
    "A2": "County",
    "A3": "Inc_Muni",
    "A4": "Uninc_Comm",
    "Site": "LandmkName",
}
_STREET = ("St_PreMod", "St_PreDir", "St_PreTyp", "St_PreSep", "St_Name", "St_PosTyp", "St_PosDir", "St_PosMod")


@dataclass(frozen=True)
class Format:
    """How a file is written, and whose its columns are: NENA's of either edition, a clerk's or a software's."""

    title: str
    driver: str
    suffix: str
    columns: str
    zipped: bool = False


NENA3 = Format("zipped FileGDB, NENA-STA-006.3", "OpenFileGDB", ".gdb", "nena3", zipped=True)
NENA2 = Format("GeoPackage, NENA-STA-006.2a", "GPKG", ".gpkg", "nena2")
ONE_COLUMN = Format("CSV, address in one column", "CSV", ".csv", "one")
SOFTWARE = Format("CSV of a town's software", "CSV", ".csv", "software")
_CLEAN = (NENA3, ONE_COLUMN, NENA2)
_DIRTY = (SOFTWARE, NENA2, ONE_COLUMN)


@dataclass(frozen=True)
class Delivery:
    """One file that a town hands in."""

    file: Path
    town: InventedTown
    format: Format


def write_deliveries(world: World, folder: Path, progress: Callable[[str], None] = lambda _: None) -> list[Delivery]:
    """One file for each town, in the order of the towns, beside the parcels' files. A file that is there is kept.

    Raises:
        BadArgument: a town's parcels are not in the folder.
    """
    deliveries = []
    for town in world.towns:
        nth = [other.town_no for other in world.towns if other.dirty == town.dirty].index(town.town_no)
        small = world.parcels <= _FULL_ROTATION
        kind = _DIRTY[nth % 3] if town.dirty else _CLEAN[nth % 3] if small else NENA2
        file = folder / f"{_layer(town)}_{YEAR}{kind.suffix}{'.zip' if kind.zipped else ''}"
        if not file.exists():
            progress(f"drawing the addresses of {town.name} ({kind.title})")
            _write(*address_rows(world, town, _parcels_of(town, folder), kind), file, town, kind)
        deliveries.append(Delivery(file, town, kind))
    return deliveries


def _parcels_of(town: InventedTown, folder: Path) -> Path:
    name = town.name.replace(" ", "_")
    files = sorted(folder.glob(f"{name}_Parcels_*"))
    if not files:
        raise BadArgument(f"The folder {folder} has no parcels of {town.name} to put addresses on.")
    return files[0]


def address_rows(world: World, town: InventedTown, parcels: Path, kind: Format) -> tuple[Floats, pa.Table]:
    """Longitude and latitude, not a number where there is none, and the rows of the town's file, faults and all."""
    drawn = draw_points(world, town, read_lots(parcels))
    if town.dirty:
        drawn = _plant_faults(world, town, drawn)
    degrees = Transformer.from_crs(CRS, "EPSG:4326", always_xy=True)
    placed = np.isfinite(drawn.xy[:, 0])
    place = np.full_like(drawn.xy, np.nan)
    place[placed] = np.column_stack(degrees.transform(drawn.xy[placed, 0], drawn.xy[placed, 1]))
    columns = {
        "nena3": lambda rows: rows.drop_columns(["Parcel_ID"]),
        "nena2": _as_nena2,
        "one": _as_one_column,
        "software": _as_the_software_has_it,
    }[kind.columns]
    return np.round(place, 9), columns(_in_capitals(drawn.columns) if town.dirty else drawn.columns)


def _plant_faults(world: World, town: InventedTown, drawn: DrawnPoints) -> DrawnPoints:
    """Spoil single houses, each in one way only, and add rows at the end."""
    rng = np.random.default_rng([world.seed, town.town_no, 6])
    xy = drawn.xy.copy()
    cells: dict[str, list[Any]] = drawn.columns.to_pydict()
    rows = len(xy)
    for name in ("Expire", "Site", "Addtl_Loc"):
        cells[name] = [None] * rows
    plain = np.flatnonzero(pc.is_null(drawn.columns["UnitValue"]).to_numpy())
    spoiled = iter(rng.choice(plain, sum(DIRT.values()), replace=False).tolist())
    of = {fault: [next(spoiled) for _ in range(count)] for fault, count in DIRT.items()}
    neighbour = next(other for other in world.towns if other is not town)
    changes: dict[str, dict[str, Callable[[Any], Any]]] = {
        "other-town": {"A3": lambda _: neighbour.name},
        "no-number": {"Add_Number": lambda _: None},
        "number-zero": {"Add_Number": lambda _: 0},
        "no-street": dict.fromkeys(_STREET, lambda _: None),
        "null-string": {**dict.fromkeys(_STREET, lambda _: None), "St_Name": lambda _: "<Null>"},
        "misspelt-street": {"St_Name": _misspelt},
        "wrong-side": {"Add_Number": lambda number: number + 1},
        "out-of-order": {"Add_Number": lambda number: number // 4 * 2 + number % 2},
        "unit-word-alone": {"UnitPreTyp": lambda _: "Apartment"},
        "zip-of-elsewhere": {"Post_Code": lambda _: "06999"},
        "retired": {"Expire": lambda _: np.datetime64("2021-06-30").astype(object)},
        "person-in-note": {"Addtl_Loc": lambda _: f"{CANARY} JANE DOE LIVES HERE, CALL FIRST"},
        "person-as-site": {"Site": lambda _: f"{CANARY} RESIDENCE"},
    }
    for fault, change in changes.items():
        for row in of[fault]:
            for name, new in change.items():
                cells[name][row] = new(cells[name][row])
    xy[of["no-place"]] = np.nan
    xy[of["outside-town"]] -= (0, town.plan[3] + 2_500)
    for row, beside in zip(of["other-address-same-place"], of["retired"], strict=False):
        xy[row] = xy[beside]
    again = of["same-again"] + of["same-address-elsewhere"]
    more = xy[again]
    more[len(of["same-again"]) :] += (310, -170)
    for values in cells.values():
        values.extend(values[row] for row in again)
    for nth in range(len(again)):
        number = str(10_000 + rows + nth)
        cells["SITEADDID"][rows + nth] = number
        cells["NGUID"][rows + nth] = f"urn:emergency:uid:gis:SSAP:{number}:{cells['DiscrpAgID'][0]}"
    types = {field.name: field.type for field in drawn.columns.schema} | {"Expire": pa.date32()}
    columns = {name: pa.array(values, types.get(name, pa.string())) for name, values in cells.items()}
    return DrawnPoints(np.concatenate((xy, more)), pa.table(columns))


def _misspelt(name: str) -> str:
    """Two letters in the middle change places."""
    at = len(name) // 2
    return f"{name[: at - 1]}{name[at]}{name[at - 1]}{name[at + 1 :]}"


def _in_capitals(rows: pa.Table) -> pa.Table:
    """Capitals and postal abbreviations, and the ZIP code as a number that lost its zero."""
    for name in ("UnitPreTyp", *_STREET, "Post_Comm", "A4"):
        values = rows[name].combine_chunks().dictionary_encode()
        short = {} if name == "St_Name" else _SHORT
        words = [short.get(word, word.upper()) for word in values.dictionary.to_pylist()]
        rows = _with(rows, name, pa.array(words, pa.string()).take(values.indices))
    return _with(rows, "Post_Code", pc.utf8_ltrim(rows["Post_Code"], characters="0"))


def _as_nena2(rows: pa.Table) -> pa.Table:
    """The edition of 2022: State and County, and the unit in one piece; the towns leave the parcel out."""
    rows = rows.append_column("Unit", _joined(rows, ("UnitPreTyp", "UnitValue")))
    rows = rows.drop_columns(["UnitPreTyp", "UnitValue", "Parcel_ID"])
    return rows.rename_columns([_NENA2.get(name, name) for name in rows.column_names])


def _as_one_column(rows: pa.Table) -> pa.Table:
    """What a clerk keeps in a sheet, the persons with it."""
    nth = pa.array(np.arange(1, len(rows) + 1))
    columns = {
        "SITEADDID": rows["SITEADDID"],
        "FULL_ADDRESS": _whole_address(rows),
        "TOWN": rows["A3"],
        "CITY": rows["Post_Comm"],
        "ZIP": rows["Post_Code"],
        "PARCEL_NO": rows["Parcel_ID"],
        "LASTUPDATE": rows["DateUpdate"],
        "OCCUPANT": pc.binary_join_element_wise(CANARY, pc.cast(nth, pa.string()), " "),
    }
    return pa.table(columns | _said_more(rows))


def _as_the_software_has_it(rows: pa.Table) -> pa.Table:
    """Numbers that were numbers once, streets in three columns, and notes."""
    nth = pa.array(np.arange(1, len(rows) + 1))
    columns = {
        "ADDR_ID": rows["SITEADDID"],
        "HOUSE_NO": pc.binary_join_element_wise(pc.cast(rows["Add_Number"], pa.string()), "0", "."),
        "HALF": rows["AddNum_Suf"],
        "PRE_DIR": rows["St_PreDir"],
        "STREET_NAME": _joined(rows, ("St_PreMod", "St_PreTyp", "St_PreSep", "St_Name")),
        "ST_TYPE": _joined(rows, ("St_PosTyp", "St_PosMod")),
        "POST_DIR": rows["St_PosDir"],
        "UNIT_NO": _joined(rows, ("UnitPreTyp", "UnitValue")),
        "TOWN": rows["A3"],
        "ZIP": rows["Post_Code"],
        "MBL": rows["Parcel_ID"],
        "LAST_EDIT": rows["DateUpdate"],
        "OWNER": pc.binary_join_element_wise(CANARY, "OWNER", pc.cast(nth, pa.string()), " "),
    }
    return pa.table(columns | _said_more(rows))


def _said_more(rows: pa.Table) -> dict[str, pa.ChunkedArray]:
    """Status and notes of a dirty town."""
    if "Expire" not in rows.column_names:
        return {}
    status = pc.if_else(pc.is_valid(rows["Expire"]), "RETIRED", "ACTIVE")
    return {"ADDR_STATUS": status, "NOTES": rows["Addtl_Loc"], "LANDMARK": rows["Site"]}


def _whole_address(rows: pa.Table) -> pa.Array:
    number, suffix = (pc.fill_null(pc.cast(rows[name], pa.string()), "") for name in ("Add_Number", "AddNum_Suf"))
    whole = rows.append_column("number", pc.binary_join_element_wise(number, suffix, ""))
    return _joined(whole, ("number", *_STREET, "UnitPreTyp", "UnitValue"))


def _joined(rows: pa.Table, names: tuple[str, ...]) -> pa.Array:
    """The parts that are there, in one text; empty where none is."""
    # Not null_handling="skip": Arrow then leaves out the rows in which all are null (seen in 26.0).
    text = pc.binary_join_element_wise(*(pc.fill_null(rows[name], "") for name in names), " ").combine_chunks()
    text = pc.utf8_trim_whitespace(pc.replace_substring_regex(text, " {2,}", " "))
    return pc.if_else(pc.not_equal(text, ""), text, pa.scalar(None, pa.string()))


def _with(rows: pa.Table, name: str, values: pa.Array | pa.ChunkedArray) -> pa.Table:
    return rows.set_column(rows.column_names.index(name), name, values)


def _layer(town: InventedTown) -> str:
    return f"{town.name.replace(' ', '_')}_Addresses"


def _write(place: Floats, rows: pa.Table, file: Path, town: InventedTown, kind: Format) -> None:
    """Write the file, whole or not at all."""
    with tempfile.TemporaryDirectory(dir=file.parent, prefix=".writing-") as scratch:
        written = Path(scratch) / f"{_layer(town)}{kind.suffix}"
        if kind.driver == "CSV":
            degrees = {
                name: pa.array(values, from_pandas=True) for name, values in zip(("LON", "LAT"), place.T, strict=True)
            }
            pa.csv.write_csv(pa.table({**dict(zip(rows.column_names, rows.columns, strict=True)), **degrees}), written)
        else:
            pyogrio.raw.write_arrow(
                rows.append_column("geometry", pa.array(_points(place), pa.binary())),
                written,
                layer=_layer(town),
                driver=kind.driver,
                geometry_name="geometry",
                geometry_type="Point",
                crs="EPSG:4326",
                **({"TARGET_ARCGIS_VERSION": "ARCGIS_PRO_3_2_OR_LATER"} if kind.driver == "OpenFileGDB" else {}),
            )
        (_zip(Path(scratch), written) if kind.zipped else written).replace(file)


def _points(place: Floats) -> NDArray[np.object_]:
    points = np.full(len(place), None, dtype=object)
    placed = np.isfinite(place[:, 0])
    points[placed] = shapely.to_wkb(shapely.points(place[placed]))
    return points


def _zip(folder: Path, written: Path) -> Path:
    """The geodatabase's files as one archive, beside it."""
    archive = folder / "archive"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as target:
        for file in sorted(written.rglob("*")):
            target.write(file, file.relative_to(folder))
    return archive


def load(context: DemoContext) -> dict[str, object]:
    """The addresses' part of the demo: write the deliveries and, unless only files are wanted, submit each."""
    deliveries = write_deliveries(context.world, context.folder, context.progress)
    if context.settings is None:
        return {"files": [delivery.file.name for delivery in deliveries]}
    towns = {}
    for delivery in deliveries:
        context.progress(f"submitting {delivery.file.name} for {delivery.town.name}")
        summary = _submit(context.settings, delivery, context.progress)
        towns[delivery.town.name] = {name: summary[name] for name in ("outcome", "rows", "findings", "report")}
    return {"towns": towns}


def _submit(settings: Settings, delivery: Delivery, say: Callable[[str], None]) -> dict[str, Any]:
    request = Request(delivery.file, delivery.town.cousub, YEAR)
    summary = submit(settings, request, say).summary
    # The town of another invented world may be live under this number; that it changed wholesale is no mistake then.
    checks = load_standard().checks
    wholesale = {
        code: "The demo invented the town anew." for code in summary["blocked_by"] if checks[code].level == "history"
    }
    return submit(settings, replace(request, accept=wholesale), say).summary if wholesale else summary
