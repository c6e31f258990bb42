"""The bad-input catalogue: odd and hostile files made from code, each with the verdict that it must always get.

A family is a function that yields entries; ``FAMILIES`` names them all. What a file may do at worst is to be refused
in a sentence; what is read although damaged must say so; what is legal though odd must be read wholly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Content = bytes | Mapping[str, bytes] | Callable[[Path], None]


@dataclass(frozen=True)
class Refused:
    """An InputError whose sentence matches ``said`` (a regular expression)."""

    said: str


@dataclass(frozen=True)
class Read:
    """A reading. ``counted`` is ``rows`` unless given (None: not counted, and a warning must say that something is
    wrong). ``said`` must match the warnings, and without it there are none.

    Anything but equal counts, nothing lost, nothing broken and no warning is a finding; else the file is accepted.
    ``cells`` are the values that columns must have, ``columns`` the names, when they matter.
    """

    rows: int = 3
    counted: int | Literal["rows"] | None = "rows"
    lost: int = 0
    broken: tuple[int, ...] = ()
    said: str | None = None
    cells: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    columns: tuple[str, ...] | None = None
    epsg: int | None = None
    empty: int | None = None


@dataclass(frozen=True)
class Delivered:
    """How a dry check of the delivery for the invented town Alder ends: with a finding that ``finding`` matches (a
    regular expression; None: with none at all), and "ok", "refused" or "any" of the two."""

    finding: str | None
    outcome: Literal["ok", "refused", "any"]


Verdict = Refused | Read | Delivered


@dataclass(frozen=True)
class Entry:
    """One delivery. ``name`` is the file's, and says what is odd; one that ends in "/" is a folder.

    ``content``: the file's bytes, or those of several files by name (the delivery is the one called ``name``, or the
    whole folder), or a function that makes it at a path. ``layer`` and ``shapes`` go to the reader.
    """

    name: str
    content: Content
    verdict: Verdict
    layer: str | None = None
    shapes: bool = True

    def write(self, folder: Path) -> Path:
        """Make the delivery in ``folder``; returns its path."""
        path = folder / self.name.rstrip("/")
        if callable(self.content):
            self.content(path)
        elif isinstance(self.content, bytes):
            path.write_bytes(self.content)
        else:
            home = path if self.name.endswith("/") else folder
            home.mkdir(exist_ok=True)
            for name, data in self.content.items():
                (home / name).write_bytes(data)
        return path


@dataclass(frozen=True)
class Bait:
    """What a file must not reach: a private file, and a listener of this machine's own that nobody may call."""

    secret: Path
    url: str


Family = Callable[[Bait], Iterator[Entry]]


def families() -> dict[str, Family]:
    from tests.hostile import (
        archives,
        columnar,
        drawings,
        geodatabases,
        geojson_files,
        geopackages,
        no_maps,
        pointers,
        shapefiles,
        shapes,
        tables,
        xml_files,
    )

    modules = (
        pointers,
        archives,
        no_maps,
        shapefiles,
        geodatabases,
        geopackages,
        geojson_files,
        columnar,
        xml_files,
        drawings,
        tables,
        shapes,
    )
    return {module.__name__.rpartition(".")[2]: module.entries for module in modules}
