"""A first look into KML and GML: sound XML without a document type, and how many features each layer must give.

GDAL's GML reader ends at a fault without a word, so the count here is what shows it. One pass, nothing is kept.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.parsers import expat

from statewide.reading_limits import MIB, Unusable

_DEEPEST = 200
_KML_FEATURES = frozenset({"Placemark", "GroundOverlay"})
_KML_CONTAINERS = frozenset({"Document", "Folder"})
_KML_SHAPES = frozenset(
    {"Point", "LineString", "LinearRing", "Polygon", "MultiGeometry", "MultiTrack", "Track", "Model"}
)
_GML_SHAPE = re.compile(r"(Multi)?(Point|LineString|Curve|Polygon|Surface|Geometry|Solid)")
_GML_MEMBERS = frozenset({"featureMember", "member"})
_GML_MANY_MEMBERS = frozenset({"featureMembers"})


def count_placemarks(path: Path) -> dict[str | None, tuple[int, int]]:
    """(features, those of them with a shape) by the name of the folder they lie in, where it tells folders apart;
    ``None`` for those of the only folder with any."""
    names: list[str] = []  # of all containers, in document order
    counts: Counter[int] = Counter()
    shapes: Counter[int] = Counter()
    open_containers: list[int] = []
    elements: list[str] = []

    def start(name: str, _: dict[str, str]) -> None:
        if elements and elements[-1] == "Placemark" and name in _KML_SHAPES:
            shapes[open_containers[-1] if open_containers else -1] += 1
        if name in _KML_CONTAINERS:
            open_containers.append(len(names))
            names.append("")
        elif name in _KML_FEATURES:
            counts[open_containers[-1] if open_containers else -1] += 1
        elements.append(name)

    def text(said: str) -> None:
        if elements[-1] == "name" and len(elements) > 1 and elements[-2] in _KML_CONTAINERS:
            names[open_containers[-1]] += said

    def end(name: str) -> None:
        elements.pop()
        if name in _KML_CONTAINERS:
            open_containers.pop()

    _walk(path, start, end, text)
    if len(counts) < 2:
        return {None: (counts.total(), shapes.total())}
    told = Counter(name.strip() for name in names)
    return {
        names[at].strip(): (rows, shapes[at]) for at, rows in counts.items() if at >= 0 and told[names[at].strip()] == 1
    }


def count_gml_members(path: Path) -> dict[str | None, tuple[int, int]]:
    """(features, those of them with a shape) by the name of their element, which GDAL takes for the layer's."""
    counts: Counter[str] = Counter()
    shapes: Counter[str] = Counter()
    elements: list[str] = []
    inside = 0  # how deep in a feature
    shaped = False

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal inside, shaped
        if name in _GML_MEMBERS and any(key.endswith(":href") for key in attributes):
            raise Unusable("points to features that lie elsewhere; export them into the file")
        if inside and not shaped and _GML_SHAPE.fullmatch(name):
            shaped = True
            shapes[elements[inside - 1]] += 1
        parent = elements[-1] if elements else ""
        if not inside and (parent in _GML_MEMBERS or parent in _GML_MANY_MEMBERS):
            counts[name] += 1
            inside, shaped = len(elements) + 1, False
        elements.append(name)

    def end(_: str) -> None:
        nonlocal inside
        if len(elements) == inside:
            inside = 0
        elements.pop()

    _walk(path, start, end)
    return {name: (rows, shapes[name]) for name, rows in counts.items()}


def _walk(
    path: Path,
    start: Callable[[str, dict[str, str]], None],
    end: Callable[[str], None],
    text: Callable[[str], None] | None = None,
) -> None:
    parser = expat.ParserCreate()
    depth = 0

    def begin(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > _DEEPEST:
            raise Unusable("is nested in a way that no map is; export it again")
        start(name.rpartition(":")[2], attributes)

    def finish(name: str) -> None:
        nonlocal depth
        depth -= 1
        end(name.rpartition(":")[2])

    def refuse(*_: Any) -> None:
        raise Unusable("is XML with a document type of its own, which is never opened")

    parser.StartElementHandler = begin
    parser.EndElementHandler = finish
    parser.StartDoctypeDeclHandler = refuse
    if text:
        parser.CharacterDataHandler = text
    try:
        with path.open("rb") as file:
            while chunk := file.read(MIB):
                parser.Parse(chunk, False)
        parser.Parse(b"", True)
    except expat.ExpatError as error:
        raise Unusable(
            f"is damaged XML (line {error.lineno}, character {error.offset + 1}); export it again"
        ) from error
    except (LookupError, ValueError) as error:  # an encoding that expat does not know
        raise Unusable("is XML in an unknown encoding; export it again in UTF-8") from error
