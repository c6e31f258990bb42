"""The join-key detective on the real towns beside the checkout and on an invented one of 20,000 parcels.

Prints the key found, both match rates, the share that chance alone would meet, and seconds.

    scripts/bench join_keys [--data ../shared/data] [--parcels 20000] [--columns 140]
"""

from __future__ import annotations

import argparse
import json
import random
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from cadastral.join_key import find_join_key, values
from cadastral.join_stoppers import stoppers
from statewide.standard import load_standard

LAW = load_standard()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(__file__).resolve().parents[2] / "shared" / "data")
    parser.add_argument("--parcels", type=int, default=20_000)
    parser.add_argument("--columns", type=int, default=140)
    arguments = parser.parse_args()
    if arguments.data.is_dir():
        _real(arguments.data)
    else:
        print(f"No real towns: {arguments.data} is not there.")
    _report("invented town", *_invented(arguments.parcels, arguments.columns), "08070")


def _real(data: Path) -> None:
    hamden = data / "ct-west-hartford-hamden-parcels" / "hamden"
    parcels = _properties(*(path for path in (hamden / "geojson").glob("*.geojson") if path.stem != "hamden"))
    cama = _as_text(hamden / "data" / "data.csv")
    _report("Hamden", parcels, cama, "35650")
    ids = pa.table({"id": cama["id"].cast(pa.int64())})
    _report("Hamden, id alone, text and number", parcels.select(["id"]), ids, "35650")
    both = _as_text(data / "ct-parcels-2025-sample" / "bridgeport_100_parcels_with_cama_no_owners.csv")
    link = pc.extract_regex(both["Additional Data"].combine_chunks(), r"'cama_link': '(?P<link>[^']*)'")
    shapes = pa.table({"CAMA_Link": pc.struct_field(link, "link"), "Location": both["Address"]})
    _report("Bridgeport's 100", shapes, both.drop_columns(["Additional Data", "Geometry WKT"]), "08070")
    cambridge = data / "ma-cambridge"
    cama = _as_text(cambridge / "Assessing" / "FY2013" / "FY2013_Parcels" / "TaxFY13.csv")
    for years in (100, 500):
        folder = cambridge / "Hydro" / f"FEMA_Floodplain_Parcels_{years}_Year"
        parcels = _properties(folder / f"FEMA_FloodPlainParcels{years}Year.geojson")
        _report(f"Cambridge, {years}-year floodplain", parcels, cama, "08070")


def _invented(parcels: int, columns: int) -> tuple[pa.Table, pa.Table]:
    """Lots and a CAMA file a third longer, its map, block and lot in three columns among many others."""
    luck = random.Random(1)
    lots = [(i // 400 + 1, i // 20 % 20 + 1, i % 20 + 1) for i in range(parcels)]
    streets = [
        f"{luck.randrange(1, 999)} {luck.choice(('ELM', 'OAK', 'POND'))} {luck.choice(('ST', 'RD'))}" for _ in lots
    ]
    rows = sorted([*range(parcels), *luck.choices(range(parcels), k=parcels // 3)], key=lambda _: luck.random())
    cama = {
        "PID": pa.array([i * 3 + 11 for i in rows]),
        **{name: pa.array([str(lots[i][part]) for i in rows]) for part, name in enumerate(("Map", "Block", "Lot"))},
        "Property_Location": pa.array([streets[i].title() for i in rows]),
    }
    kinds = (
        lambda: luck.randrange(1, 30),
        lambda: f"{luck.randrange(40, 900) * 1000}.0",
        lambda: f"{luck.randrange(1, 400)}/{luck.randrange(1, 999)}",
        lambda: luck.choice(("Average", "Good", "Fair")),
        lambda: f"{luck.randrange(1, 12)}/{luck.randrange(1, 28)}/{luck.randrange(1980, 2024)}",
    )
    for number in range(columns - len(cama)):
        cama[f"C{number}"] = pa.array([kinds[number % len(kinds)]() for _ in rows])
    shapes = {
        "OBJECTID": pa.array(range(parcels)),
        "MBL": pa.array([f"{a:03d}-{b:02d}-{c:04d}" for a, b, c in lots]),
        "SITE": pa.array(streets),
        "GIS_ACRES": pa.array([luck.random() for _ in lots]),
    }
    return pa.table(shapes), pa.table(cama)


def _report(name: str, parcels: pa.Table, cama: pa.Table, cousub_fips: str) -> None:
    started = time.perf_counter()
    search = find_join_key(LAW, parcels, cama, cousub_fips)
    found = time.perf_counter() - started
    print(f"{name}: {len(parcels)} parcels, {len(cama)} CAMA rows of {cama.num_columns} columns, {found:.2f} s")
    print(f"  {search.why}")
    for key in search.leaders[:4]:
        print(
            f"    score {key.score:.3f}  {key.parcel_match:7.2%} {key.cama_match:7.2%}"
            f"  by chance {key.by_chance:4.0%}  {key.rule}"
        )
    if search.key is None:
        return
    started = time.perf_counter()
    for table, side in ((parcels, "parcel"), (cama, "cama")):
        values(LAW, search.key, table, side, cousub_fips)  # type: ignore[arg-type]
    valued = time.perf_counter() - started
    started = time.perf_counter()
    causes = ", ".join(
        f"{stopper.side} {stopper.cause} {len(stopper.rows)}"
        for stopper in stoppers(LAW, search.key, parcels, cama, cousub_fips)
    )
    print(f"  values {valued:.2f} s; without a partner ({time.perf_counter() - started:.2f} s): {causes or 'none'}")


def _as_text(path: Path) -> pa.Table:
    parse = csv.ParseOptions(newlines_in_values=True)
    names = csv.open_csv(path, parse_options=parse).schema.names
    convert = csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()))
    return csv.read_csv(path, parse_options=parse, convert_options=convert)


def _properties(*paths: Path) -> pa.Table:
    return pa.Table.from_pylist(
        [row["properties"] for path in paths for row in json.loads(path.read_text())["features"]]
    )


if __name__ == "__main__":
    main()
