"""What reading one delivery may cost, and the exception that says why a file cannot be used.

Shared by the parent side (``files``, ``unpack``) and by the throwaway process (``sandbox``, ``reading_child``).
"""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True)
class Limits:
    """Defaults leave room for the largest town (some 200,000 parcels, 500 MB) several times over.

    A file geodatabase is a folder of about eight files a table, hence the many entries; a .dbf is mostly blanks
    and shrinks thirty to sixty fold, hence the ratio. 200,000 parcels take one to three seconds, as GeoJSON, the
    slowest, some twenty: a file that needs three minutes of processor time plays with its reader. The whole State has
    some 1.3 million parcels: a shapefile of more than five million records is none of a town. ``memory_bytes`` is
    what the reader may fill: 200,000 parcels take a quarter of it at most. Address space is more, for files are mapped.
    """

    delivery_bytes: int = 1024 * MIB
    unpacked_bytes: int = 4096 * MIB
    archive_entries: int = 2000
    archive_ratio: int = 150
    datasets: int = 50
    records: int = 5_000_000
    sidecar_bytes: int = 64 * 1024
    memory_bytes: int = 1280 * MIB
    address_bytes: int = 4096 * MIB
    output_bytes: int = 4096 * MIB
    cpu_seconds: int = 180
    wall_seconds: int = 240


class Unusable(Exception):
    """Why a file cannot be read, as the part of a sentence that follows the file's name."""
