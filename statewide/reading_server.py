"""The process that readers are forked from: libraries are loaded once, each file gets a fresh copy that is thrown away.

Started and spoken to by ``reading_process`` alone: an order per line on standard input (request and output folder), two
lines back (the copy's process number, then how it ended). This process never opens a delivery.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from pathlib import Path
from typing import NoReturn

from statewide.lean import without
from statewide.sandbox import TAP

_PLACED = (
    b'{"type": "FeatureCollection", "features": [{"type": "Feature", "properties": {}, "geometry": null}],'
    b' "crs": {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::2234"}}}'
)


def main() -> None:
    """Serve until standard input ends, as it does when the other side is gone.

    The kernel could end this process with its parent (PR_SET_PDEATHSIG), but it means the thread that started it.
    """
    _load()
    for line in sys.stdin:
        order = json.loads(line)
        child = os.fork()
        if child == 0:
            _read(Path(order["request"]), Path(order["out"]))
        _answer(child)
        _, status = os.waitpid(child, 0)
        _answer(os.waitstatus_to_exitcode(status))


def _answer(number: int) -> None:
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


def _load() -> None:
    """What every reader needs and what takes long; the copy takes away the drivers that it may not have."""
    with without("pandas", "geopandas"):
        import numpy.ma
        import pyarrow.compute
        import pyogrio
        import pyproj
        import shapely

        import statewide.esri_pages
        import statewide.prescan
        import statewide.reading_child
        import statewide.reading_gdal
        import statewide.reading_parquet
        import statewide.reading_rows
        import statewide.reading_tables
    pyogrio.read_info(_PLACED)  # opens the libraries' tables of projections for all copies
    del numpy, pyarrow, pyogrio, pyproj, shapely, statewide


def _read(request: Path, out: Path) -> NoReturn:
    """In the copy: cut every tie to the server, then read."""
    code = 1
    try:
        os.setsid()
        os.chdir(out)
        nothing = os.open(os.devnull, os.O_RDWR)
        said = os.open("stderr.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        for here, there in ((nothing, 0), (nothing, 1), (said, 2)):
            os.dup2(here, there)
        # What else is open are the libraries' tables of projections. To close those would hand their numbers to the
        # next files opened, the log first, and the libraries would read and close these.
        os.close(nothing)
        os.close(said)
        os.environ |= TAP | {"CPL_LOG": str(out / "gdal.log"), "HOME": str(out), "TMPDIR": str(out)}
        from statewide.reading_child import serve

        serve(json.loads(request.read_text(encoding="utf-8")))
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


if __name__ == "__main__":
    main()
