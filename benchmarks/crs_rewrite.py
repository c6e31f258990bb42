"""The CRS detective against files that do not say: each real delivery in many systems, as a shapefile without .prj.

Says for each whether the system was named, named with those that have the same numbers, called ambiguous with the feet
between, or refused by its name; first against the town's outline alone, then beside last year's parcels. A file that is
put in another place than it has, without a word, is WRONG; there must be none.

    scripts/bench crs_rewrite [--data ../shared/data]
"""

from __future__ import annotations

import argparse
import collections
import statistics
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyogrio.raw
import pyproj
import shapely

from statewide import files
from statewide.crs import CrsDecision, settle_crs
from statewide.geometry import Shapes, to_storage
from statewide.register import authority_outlines
from statewide.standard import Standard, load_standard

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
DELIVERIES = {
    "new_london_parcels_2025.zip": ("New London", 2234),
    "woodstock_parcels_2025.gdb.zip": ("Woodstock", 6434),
    "chester_parcels_2025.gpkg": ("Chester", 2234),
    "franklin_parcels_2025.geojson": ("Franklin", 4326),
    "franklin_parcels_2025_noprj.zip": ("Franklin", 2234),
}
SYSTEMS = (2234, 6434, 26956, 2775, 2879, 3507, 3508, 26756, 3857, 4326, 4269, 26918, 26919)
# Beyond what towns are known to send: WGS 84's UTM, and NAD27 in the guise of systems that we accept.
ODD_SYSTEMS = (32618, 32619, 4267, 26718, 26719)


@dataclass(frozen=True)
class Attempt:
    """One file, what it is in, and what was decided with and without last year's parcels; seconds of the decision."""

    delivery: str
    epsg: int
    alone: str
    beside: str
    seconds: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the real data")
    arguments = parser.parse_args()
    attempts = []
    for attempt in rewritten(arguments.data / "deliveries"):
        attempts.append(attempt)
        print(f"{attempt.delivery:<32} EPSG:{attempt.epsg:<6} {attempt.alone:<68} {attempt.beside}")
    for systems, what in ((SYSTEMS, "systems that towns send"), (ODD_SYSTEMS, "odd ones")):
        for title, which in (("by the outline", "alone"), ("and last year's parcels", "beside")):
            results = [getattr(it, which) for it in attempts if it.epsg in systems]
            counts = collections.Counter(result.split(":")[0] for result in results)
            told = ", ".join(f"{count} {kind}" for kind, count in counts.most_common())
            print(f"{len(results)} files in {len(systems)} {what}, {title}: {told}")
    print(f"decision: median {1000 * statistics.median(it.seconds for it in attempts):.0f} ms,", end=" ")
    print(f"longest {1000 * max(it.seconds for it in attempts):.0f} ms (the first one opens PROJ's database)")
    if any(result.startswith("WRONG") for it in attempts for result in (it.alone, it.beside)):
        sys.exit(1)


def rewritten(
    folder: Path, systems: tuple[int, ...] = (*SYSTEMS, *ODD_SYSTEMS), deliveries: tuple[str, ...] = (*DELIVERIES,)
) -> Iterator[Attempt]:
    """Each delivery in each system, written and read as a shapefile that does not say its system."""
    standard = load_standard()
    outlines = authority_outlines(standard)
    towns = [town.town_name for town in standard.municipalities]
    for name in deliveries:
        town, epsg = DELIVERIES[name]
        live = to_storage(np.asarray(shapely.from_wkb(pyogrio.raw.read(folder / name, columns=[])[2])), epsg, standard)
        for system in systems:
            with tempfile.TemporaryDirectory(prefix="statewide-bench-") as work:
                shapes = _read(_write(live, system, standard, Path(work)), Path(work))
            outline = outlines[towns.index(town)]
            started = time.perf_counter()
            alone = settle_crs(shapes, None, None, outline, standard)
            seconds = time.perf_counter() - started
            beside = settle_crs(shapes, None, None, outline, standard, live=live)
            yield Attempt(name, system, verdict(alone, system, standard), verdict(beside, system, standard), seconds)


def _write(shapes: Shapes, epsg: int, standard: Standard, folder: Path) -> Path:
    """A zipped shapefile in the system, as PROJ would convert it, without its .prj."""
    move = pyproj.Transformer.from_crs(standard.header.storage_crs, epsg, always_xy=True)
    moved = shapely.transform(shapes, lambda xy: np.column_stack(move.transform(xy[:, 0], xy[:, 1])))
    number = np.arange(len(moved))
    pyogrio.raw.write(
        folder / "parcels.shp", shapely.to_wkb(moved), [number], ["ROW"], geometry_type="Polygon", crs=f"EPSG:{epsg}"
    )
    (folder / "parcels.prj").unlink()
    with zipfile.ZipFile(folder / "parcels.zip", "w") as archive:
        for part in folder.glob("parcels.[sd]*"):
            archive.write(part, part.name)
    return folder / "parcels.zip"


def _read(file: Path, work: Path) -> Shapes:
    reading = files.read(file, work=work)
    if reading.layer.crs_wkt is not None:
        raise AssertionError("the file says its system after all")
    return np.asarray(shapely.from_wkb(reading.table.column("geometry").to_numpy()), dtype=object)


def verdict(found: CrsDecision, epsg: int, standard: Standard) -> str:
    """What was made of a file that is in this system, in a word and its details."""
    if found.epsg is None:
        return f"refused by name: EPSG:{epsg}" if f"EPSG:{epsg})" in found.why else f"left open: {found.why}"
    same = (found.epsg, *found.alternatives)
    rivals = {rival.epsg: f"EPSG:{rival.epsg} {rival.feet:.0f} ft away" for rival in found.rivals}
    if epsg not in (*same, *rivals):
        return f"WRONG: EPSG:{found.epsg}"
    if rivals:
        return f"called ambiguous: EPSG:{found.epsg} or {', '.join(rivals.values())}"
    shift = f", {found.shift}" if found.shift and found.shift.feet >= 1 else ""
    apart = max(crs.datum_within_ft for crs in standard.header.accepted_crs if crs.epsg in same)
    if found.alternatives:
        return f"named with its twins: {', '.join(map(str, same))} ({apart:g} ft at most){shift}"
    return f"named: EPSG:{found.epsg}{shift}"


if __name__ == "__main__":
    main()
