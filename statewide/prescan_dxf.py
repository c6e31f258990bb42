"""A first look into a DXF drawing: how many closed shapes it draws, and whether its blocks unfold into a flood.

A few hundred bytes of blocks inserted in rows and columns, or in one another, are billions of entities. Blocks are
never unfolded in reading (DXF_INLINE_BLOCKS), yet what would be one is refused at sight.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from statewide.reading_limits import Unusable

_MOST_UNFOLDED = 1_000_000
_MOST_REPORTED = 6
_PARTS_OF_OTHERS = frozenset({"VERTEX", "SEQEND", "ATTRIB", "ENDBLK", "ENDSEC"})


@dataclass
class Drawing:
    """``areas`` counts closed polylines, hatches and filled faces outside of blocks, ``others`` all else by type."""

    areas: int = 0
    others: Counter[str] = field(default_factory=Counter)

    @property
    def others_said(self) -> str:
        return ", ".join(f"{count:,} {kind}" for kind, count in self.others.most_common(_MOST_REPORTED))


@dataclass
class _Entity:
    kind: str
    pairs: list[tuple[int, str]]

    def last(self, code: int, default: str = "0") -> str:
        return next((value for at, value in reversed(self.pairs) if at == code), default)

    def number(self, code: int, default: int = 0) -> int:
        try:
            return int(float(self.last(code, str(default))))
        except (ValueError, OverflowError):
            return default


def survey_drawing(path: Path) -> Drawing:
    """Raises Unusable."""
    drawing = Drawing()
    blocks: dict[str, Counter[str]] = {}  # name of a block → what it holds: "" for entities, else other blocks
    top: Counter[str] = Counter()
    section = block = ""
    polyline: _Entity | None = None
    corners: list[tuple[str, str]] = []
    for entity in _entities(path):
        kind = entity.kind
        if kind == "SECTION":
            section = entity.last(2, "").upper()
        elif kind == "BLOCK":
            block = entity.last(2, "").upper()
            blocks.setdefault(block, Counter())
        elif kind == "ENDBLK":
            block = ""
        elif kind == "VERTEX":
            corners.append((entity.last(10), entity.last(20)))
        elif kind == "SEQEND":
            if polyline and section == "ENTITIES":
                _count(drawing, polyline, corners)
            polyline = None
        elif section in ("BLOCKS", "ENTITIES") and kind not in _PARTS_OF_OTHERS:
            into = blocks.get(block, top) if section == "BLOCKS" else top
            if kind in ("INSERT", "DIMENSION"):
                times = max(1, entity.number(70, 1)) * max(1, entity.number(71, 1)) if kind == "INSERT" else 1
                into[entity.last(2, "").upper()] += times
            into[""] += 1
            if kind == "POLYLINE":
                polyline, corners = entity, []
            elif section == "ENTITIES":
                _count(drawing, entity, _corners_of(entity))
    if _unfolded(top, blocks, {}, ()) > _MOST_UNFOLDED:
        raise Unusable("is a drawing whose blocks unfold into more than any map holds; explode and purge it")
    if not drawing.areas:
        other = f" (it holds {drawing.others_said})" if drawing.others else ""
        raise Unusable(f"is a drawing without a closed polyline or hatch{other}; draw each parcel as a closed polyline")
    return drawing


def _unfolded(
    holds: Counter[str], blocks: dict[str, Counter[str]], known: dict[str, int], inside: tuple[str, ...]
) -> int:
    total = 0
    for name, times in holds.items():
        if name == "":
            total += times
        elif name in inside or len(inside) > 64:
            raise Unusable("is a drawing whose blocks hold themselves; explode and purge it")
        elif name in blocks:
            if name not in known:
                known[name] = _unfolded(blocks[name], blocks, known, (*inside, name))
            total += times * known[name]
    return total


def _corners_of(entity: _Entity) -> list[tuple[str, str]]:
    if entity.kind == "LWPOLYLINE":
        east, north = {10}, {20}
    else:  # the corners of a solid
        east, north = {10, 11, 12, 13}, {20, 21, 22, 23}
    xs, ys = ([value for code, value in entity.pairs if code in codes] for codes in (east, north))
    return list(zip(xs, ys, strict=False))


def _count(drawing: Drawing, entity: _Entity, corners: list[tuple[str, str]]) -> None:
    if is_area(entity, corners):
        drawing.areas += 1
    else:
        drawing.others[entity.kind] += 1


def is_area(entity: _Entity, corners: list[tuple[str, str]]) -> bool:
    if entity.kind in ("HATCH", "SOLID", "TRACE", "3DFACE"):
        return entity.kind == "HATCH" or len(set(corners)) >= 3
    if entity.kind not in ("LWPOLYLINE", "POLYLINE"):
        return False
    flags = entity.number(70)
    if entity.kind == "POLYLINE" and flags & (16 | 64):  # a mesh
        return False
    for corner in corners:
        for number in corner:
            _check_number(number)
    closed = bool(flags & 1) or (len(corners) > 3 and corners[0] == corners[-1])
    return closed and len(set(corners)) >= 3


def _check_number(text: str) -> None:
    try:
        float(text)
    except ValueError as error:
        raise Unusable("is a damaged DXF drawing; export it again") from error


def _entities(path: Path) -> Iterator[_Entity]:
    """Code 0 begins an entity; each pair is two lines. Raises Unusable."""
    entity: _Entity | None = None
    with path.open("rb") as file:
        for line in file:
            if not line.strip() and not file.read(1024).strip():  # blank lines at the end
                break
            value = file.readline(1 << 20)
            try:
                code = int(line)
            except ValueError as error:
                raise Unusable("is a damaged DXF drawing; export it again") from error
            if code == 0:
                if entity:
                    yield entity
                entity = _Entity(value.decode("utf-8", "replace").strip().upper(), [])
            elif entity:
                entity.pairs.append((code, value.decode("utf-8", "replace").strip()))
    if entity is None or entity.kind != "EOF":
        raise Unusable("is a DXF drawing that is cut off; export and send it again")
