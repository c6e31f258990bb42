"""Which coordinate system a delivery is in: declared and believed, told from the place, or said to be open.

Every system of the law is tried on a sample: against the town's outline, which tells apart what lies thousands of feet
apart, and against last year's parcels, which tell feet. What neither can tell is named with its feet, never chosen
silently. Slips such as swapped axes are recognised and named, not mended: a file that is wrong in this way is wrong for
everyone who opens it, and the town mends it with one export.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import pyproj
import shapely
from shapely.geometry.base import BaseGeometry

from statewide.errors import LawError
from statewide.findings import FindingLog, plain_share
from statewide.geometry import Floats, Shapes, accepted_title, points_in_storage, to_storage
from statewide.standard import AcceptedCrs, QuarantinedCrs, Standard

NEAR_TOWN_FT = 2000.0
"""How far outside of its town's outline a shape still counts as in place: outlines are an index map."""
_POINTS = 400
_LOTS = 200
"""How many shapes are held against last year's."""
_REACH_FT = 1000.0
"""How far off last year's parcel is looked for."""
_SAME_SIZE_FT = 0.3
_PAIRS = 200_000
_CLUSTER_FT, _CLUSTERS, _NEARLY = 2.0, 9, 0.9
_NAD27_STATE_PLANE = 26756
_NAD27_WITHIN_FT = 50.0
"""PROJ's own doubt about NAD27 without a grid (14 m), with a little air."""

# State Plane Connecticut: the false origin in US feet and in metres (EPSG:2234 and 26956).
_ORIGIN_FT, _ORIGIN_M = np.array([1_000_000.0, 500_000.0]), np.array([304_800.6096, 152_400.3048])
_METRES_PER_FOOT = 1200 / 3937
_INTERNATIONAL = 0.3048 / _METRES_PER_FOOT
"""US feet in an international foot: 2 ft less in a million."""


@dataclass(frozen=True)
class Shift:
    """How far the delivered parcels lie from last year's: `lots` of the sample, `share` of it, say the same."""

    east_ft: float
    north_ft: float
    lots: int
    share: float

    @property
    def feet(self) -> float:
        """Length of the shift."""
        return math.hypot(self.east_ft, self.north_ft)

    def __str__(self) -> str:
        """As ``131.2 ft west``."""
        names = ("east", "north-east", "north", "north-west", "west", "south-west", "south", "south-east")
        return f"{self.feet:,.1f} ft {names[round(math.atan2(self.north_ft, self.east_ft) / (math.pi / 4)) % 8]}"


@dataclass(frozen=True)
class Rival:
    """A system that would do as well, and how far from the chosen one it would put the parcels."""

    epsg: int
    title: str
    feet: float


@dataclass(frozen=True)
class CrsDecision:
    """Which coordinate system the coordinates are in, how we know, and what else it could be.

    `epsg` is None when it could not be settled; `why` then says so in a sentence. `alternatives` have the same numbers
    as the chosen system, so they draw the same map; `rivals` do not, and nothing at hand tells them apart. `shift` is
    measured against last year's parcels, where there are enough to tell; `shift_hint` says what would explain it.
    `hint` says in which other reading the shapes would lie in the town. `scores` are the shares of the sample that
    then lie in the town, by system, and `shifts` the feet from last year's parcels.
    """

    epsg: int | None
    how: Literal["declared", "reviewed", "named", "assumed", "unknown"]
    share_in_town: float
    alternatives: tuple[int, ...] = ()
    better: int | None = None
    why: str = ""
    scores: dict[int, float] = field(default_factory=dict)
    rivals: tuple[Rival, ...] = ()
    shift: Shift | None = None
    shift_hint: str = ""
    hint: str = ""
    shifts: dict[int, float] = field(default_factory=dict)


def settle_crs(
    shapes: Shapes,
    declared: int | None,
    declared_as: str | None,
    outline: BaseGeometry,
    standard: Standard,
    *,
    live: Shapes | None = None,
    reviewed: int | None = None,
    by_name: bool = False,
) -> CrsDecision:
    """Decide on the coordinate system of delivered shapes.

    A system that is declared, or named in the town's reviewed file, is believed when most shapes then lie in the town.
    One that only columns called longitude and latitude speak for is dropped when they do not. Without one, each
    accepted system is tried, and the answer is labelled *assumed*.

    Args:
        shapes: as delivered; None where the row has no shape.
        declared: EPSG code that the file states, if it resolves to one.
        declared_as: how the file states it, for the message.
        outline: the town, in the storage CRS.
        live: the town's parcels as they are published now, in the storage CRS; only their boxes are looked at.
        reviewed: EPSG code of the town's reviewed file; it comes before what the file says.
        by_name: whether only the names of columns declare it.

    Raises:
        LawError: the reviewed code is not a system that the law accepts.
    """
    trial = _Trial(shapes, outline, standard, live)
    accepted = {crs.epsg for crs in standard.header.accepted_crs}
    if reviewed is not None and reviewed not in accepted:
        raise LawError(f"The town's reviewed file names EPSG:{reviewed}, which is not a system that we accept.")
    said = reviewed or declared
    for refused in standard.header.quarantined_crs:
        if said == refused.epsg:
            return _open(f"the file is in {refused.title} (EPSG:{refused.epsg}). {refused.reason}")
    if said in accepted:
        found = trial.stated(said, "reviewed" if reviewed else "named" if by_name else "declared")
        return trial.unstated() if found.how == "named" and found.share_in_town < trial.enough else found
    if declared_as:
        named = f"EPSG:{declared}" if declared else f"{declared_as[:80]!r}"
        return _open(f"the file says {named}, which is not a system that we accept.{trial.hint()}")
    return trial.unstated()


def crs_hint(shapes: Shapes, standard: Standard) -> str:
    """In which system, or with which slip mended, shapes of any town would lie in the State; empty when in none."""
    extent = shapely.box(*standard.header.extent.bbox)
    (state,) = to_storage(np.array([extent], dtype=object), 4326, standard)
    return _Trial(shapes, state, standard, None).hint().strip()


def crs_findings(log: FindingLog, crs: CrsDecision) -> None:
    """Say what a decision leaves to be said: open, assumed, ambiguous, in the wrong place, or beside last year's."""
    standard = log.standard
    if crs.epsg is None:
        log.add("CRS_UNKNOWN", why=crs.why)
        return
    title = accepted_title(crs.epsg, standard)
    if crs.how == "assumed":
        share = plain_share(crs.share_in_town)
        log.add("CRS_ASSUMED", epsg=crs.epsg, title=title, share=share, alternatives=_twins_text(crs, standard))
        if crs.rivals:
            rivals = " and ".join(f"EPSG:{it.epsg} ({it.title}, {it.feet:,.0f} ft away)" for it in crs.rivals)
            log.add("CRS_AMBIGUOUS", epsg=crs.epsg, title=title, rivals=rivals)
    elif crs.how == "named":
        log.add("CRS_NAMED", epsg=crs.epsg, title=title, share=plain_share(crs.share_in_town))
    elif crs.share_in_town < log.check("WRONG_PLACE").limits["share_min"]:
        says = "the town's reviewed file" if crs.how == "reviewed" else "the file"
        log.add("WRONG_PLACE", share=plain_share(crs.share_in_town), epsg=crs.epsg, says=says, hint=crs.hint)
    limit = log.check("CRS_OFFSET").limits["feet_min"]
    if crs.shift and crs.shift.feet >= limit:
        share = plain_share(crs.shift.share)
        log.add("CRS_OFFSET", epsg=crs.epsg, share=share, shift=str(crs.shift), hint=crs.shift_hint)


def _twins_text(crs: CrsDecision, standard: Standard) -> str:
    """The systems with the same numbers, and how far apart their data may lie on the ground."""
    family = [it for it in standard.header.accepted_crs if it.epsg in (crs.epsg, *crs.alternatives)]
    if len(family) < 2:
        return ""
    twins = ", ".join(f"EPSG:{epsg}" for epsg in crs.alternatives)
    apart = max(it.datum_within_ft for it in family)
    return f" {twins} have the same numbers and draw the same map; which one is meant matters by {apart:g} ft at most."


def _open(why: str, share: float = 0.0, scores: dict[int, float] | None = None) -> CrsDecision:
    return CrsDecision(None, "unknown", share, why=why, scores=scores or {})


class _Trial:
    """One delivery's sample, and what each system makes of it. `system` is an entry of the law."""

    def __init__(self, shapes: Shapes, outline: BaseGeometry, standard: Standard, live: Shapes | None) -> None:
        present = shapes[~shapely.is_missing(shapes)]
        self.standard = standard
        self.points = _boxes(_spread(present, _POINTS))[0]
        self.lots = _spread(present, _LOTS)
        self.outline = outline
        shapely.prepare(outline)
        self.live = live
        self.enough = standard.checks["WRONG_PLACE"].limits["share_min"]
        self.accepted = {crs.epsg: crs for crs in standard.header.accepted_crs}

    def stated(self, epsg: int, how: Literal["declared", "reviewed", "named"]) -> CrsDecision:
        """A system that somebody named: kept, with what would be right if it is not."""
        share = self.share(self.read(self.points, self.accepted[epsg]))
        if share < self.enough:
            scores = self.scores
            best = max(scores, key=lambda code: scores[code])
            better = best if scores[best] >= self.enough else None
            nowhere = " In no other system that we know would they, either."
            return CrsDecision(epsg, how, share, better=better, scores=scores, hint=self.hint() or nowhere)
        return self.beside_last_year(CrsDecision(epsg, how, share, scores={epsg: share}))

    def unstated(self) -> CrsDecision:
        """No system is named: the one in which the shapes lie in the town, if there is one and no other."""
        scores = self.scores
        best = max(scores, key=lambda epsg: scores[epsg])
        said = "the file does not say its coordinate system, and"
        if scores[best] < self.enough:
            for system in self.standard.header.quarantined_crs:
                if self.share(self.read(self.points, system)) >= self.enough:
                    why = f"the file does not say its coordinate system. By its numbers it is in {system.title}"
                    return _open(f"{why} (EPSG:{system.epsg}). {system.reason}", scores[best], scores)
            none = f"{said} in none that we know do its shapes lie in the town.{self.hint()}"
            return _open(none, scores[best], scores)
        chosen = self.read(self.points, self.accepted[best])
        rivals = [epsg for epsg in scores if epsg != best and scores[epsg] >= scores[best] / 2]
        if rivals:
            apart = [_apart(chosen, self.read(self.points, self.accepted[epsg])) for epsg in rivals]
            names = " and ".join(f"EPSG:{epsg} ({feet:,.0f} ft away)" for epsg, feet in zip(rivals, apart, strict=True))
            return _open(f"{said} EPSG:{best} would do, but also {names}.", scores[best], scores)
        twins = tuple(it.epsg for it in self.accepted.values() if it.same_digits_as == best)
        found = CrsDecision(best, "assumed", scores[best], alternatives=twins, scores=scores)
        return self.beside_last_year(replace(found, rivals=tuple(self.refused_rivals(chosen, scores[best]))))

    def refused_rivals(self, chosen: Floats, share: float) -> Iterator[Rival]:
        """Systems that we refuse and that the outline cannot tell from the chosen one."""
        for system in self.standard.header.quarantined_crs:
            moved = self.read(self.points, system)
            if self.share(moved) >= share / 2:
                yield Rival(system.epsg, system.title, _apart(chosen, moved))

    def beside_last_year(self, found: CrsDecision) -> CrsDecision:
        """The decision with its shift against last year's parcels, and with what that shift rules out or explains."""
        limits = self.standard.checks["CRS_OFFSET"].limits
        if self.live is None or found.epsg is None or not len(self.lots):
            return found
        read = shapely.transform(shapely.force_2d(self.lots), lambda xy: self.read(xy, self.accepted[found.epsg or 0]))
        shift = _shift(read, self.live)
        if shift is None or shift.share < limits["share_min"] or shift.lots < limits["rows_min"]:
            return found
        found = replace(found, shift=shift, shifts=self.shifts(found, shift))
        if shift.feet < limits["feet_min"]:
            return replace(found, rivals=())
        if system := self.old_datum(found.epsg, shift):
            if any(rival.epsg == system.epsg for rival in found.rivals):
                why = f"the file does not say its coordinate system. Beside last year's it lies {shift}, as"
                return _open(f"{why} {system.title} (EPSG:{system.epsg}) would. {system.reason}", found.share_in_town)
            return replace(found, shift_hint=f" Coordinates of {system.title} (EPSG:{system.epsg}) would lie so.")
        foot = np.median(_boxes(read)[0], axis=0) * (1 - _INTERNATIONAL)
        if min(math.dist((shift.east_ft, shift.north_ft), sign * foot) for sign in (1, -1)) < limits["feet_min"] / 2:
            return replace(
                found, shift_hint=" International feet that are taken for US survey feet, or the other way, would."
            )
        family = [it for it in self.accepted.values() if it.epsg in (found.epsg, *found.alternatives)]
        if shift.feet <= max(it.datum_within_ft for it in family):
            return replace(found, shift_hint=" That is no more than the realisations of NAD83 and WGS 84 differ by.")
        return found

    def shifts(self, found: CrsDecision, shift: Shift) -> dict[int, float]:
        """Feet from last year's parcels, by system that was tried and has shapes in the town."""
        chosen = self.read(self.points, self.accepted[found.epsg or 0])
        beside: dict[int, float] = {}
        for epsg in (epsg for epsg, share in found.scores.items() if share):
            east, north = np.median(self.read(self.points, self.accepted[epsg]) - chosen, axis=0)
            beside[epsg] = math.hypot(shift.east_ft + east, shift.north_ft + north)
        return beside

    def old_datum(self, epsg: int | None, shift: Shift) -> QuarantinedCrs | None:
        """The refused system that the shift gives away: as it stands, or with only its origin brought up to date."""
        chosen = self.read(self.points, self.accepted[epsg or 0])
        places = {system.epsg: self.read(self.points, system) for system in self.standard.header.quarantined_crs}
        expected = {
            code: np.median(chosen - it, axis=0) for code, it in places.items() if self.share(it) >= self.enough
        }
        for system in self.standard.header.quarantined_crs:
            if system.epsg == _NAD27_STATE_PLANE:
                expected.setdefault(system.epsg, -np.array(system.datum_shift_ft))
        for code, vector in expected.items():
            if math.dist((shift.east_ft, shift.north_ft), vector) < _NAD27_WITHIN_FT:
                return next(system for system in self.standard.header.quarantined_crs if system.epsg == code)
        return None

    def hint(self) -> str:
        """In which system, or with which slip mended, the shapes would lie in the town; empty when in none."""
        scores = self.scores
        best = max(scores, key=lambda epsg: scores[epsg])
        if scores[best] >= self.enough:
            title = self.accepted[best].title
            return f" Read in EPSG:{best} ({title}), {plain_share(scores[best])} of the shapes would lie there."
        for system in self.standard.header.quarantined_crs:
            if self.share(self.read(self.points, system)) >= self.enough:
                return f" By its numbers it is in {system.title} (EPSG:{system.epsg}). {system.reason}"
        for slip, epsg, points in self.slips():
            share = self.share(self.read(points, self.accepted[epsg]))
            if share >= self.enough:
                return f" It looks like EPSG:{epsg} {slip}; mended, {plain_share(share)} of the shapes would lie there."
        return ""

    def slips(self) -> Iterator[tuple[str, int, Floats]]:
        """Known ways to spoil coordinates: what happened, the system meant, and the points with the slip undone."""
        for system in self.families():
            yield "with its axes swapped", system.epsg, self.points[:, ::-1]
        yield "with longitudes that lost their minus", 4326, self.points * (-1, 1)
        for epsg, origin, other, unit in (
            (2234, _ORIGIN_FT, _ORIGIN_M, "metres"),
            (26956, _ORIGIN_M, _ORIGIN_FT, "feet"),
        ):
            yield f"with a false origin in {unit}", epsg, self.points + (origin - other)
            yield "without its false origin", epsg, self.points + origin
        yield "converted from metres to feet twice", 2234, self.points * _METRES_PER_FOOT
        yield "converted from feet to metres twice", 26956, self.points / _METRES_PER_FOOT

    def families(self) -> tuple[AcceptedCrs, ...]:
        """One system of each set with the same digits."""
        return tuple(crs for crs in self.accepted.values() if crs.same_digits_as is None)

    @functools.cached_property
    def scores(self) -> dict[int, float]:
        """Share of the points in the town, by family."""
        return {crs.epsg: self.share(self.read(self.points, crs)) for crs in self.families()}

    def read(self, points: Floats, system: AcceptedCrs | QuarantinedCrs) -> Floats:
        """Points in the storage CRS, read in a system; those of a refused one to the accuracy that we have (14 m)."""
        if isinstance(system, AcceptedCrs):
            return points_in_storage(points, system.epsg, self.standard)
        moved: Floats = points_in_storage(_degrees(points, system.epsg), 4269, self.standard) + system.datum_shift_ft
        return moved

    def share(self, moved: Floats) -> float:
        """Share of points in the storage CRS that lie in or near the town."""
        near = np.isfinite(moved).all(axis=1)
        with np.errstate(over="ignore", invalid="ignore"):  # numbers astray are not near
            near[near] = shapely.dwithin(self.outline, shapely.points(moved[near]), NEAR_TOWN_FT)
        return float(np.mean(near)) if len(near) else 0.0


def _spread(shapes: Shapes, count: int) -> Shapes:
    """At most about so many of the shapes, evenly over the file."""
    return shapes[:: max(1, len(shapes) // count)][: 2 * count]


def _boxes(shapes: Shapes) -> tuple[Floats, Floats]:
    """Centres of the shapes' boxes, and their widths and heights."""
    bounds = shapely.bounds(shapes)
    low, high = bounds[:, :2], bounds[:, 2:]
    return (low + high) / 2, high - low


def _apart(one: Floats, other: Floats) -> float:
    return float(np.median(np.hypot(*(one - other).T)))


def _degrees(points: Floats, epsg: int) -> Floats:
    """Longitude and latitude on the system's own datum, without any step between data."""
    projection = _projection(epsg)
    if projection is None:
        return points
    degrees: Floats = np.column_stack(projection(points[:, 0], points[:, 1], inverse=True))
    return degrees


@functools.cache
def _projection(epsg: int) -> pyproj.Proj | None:
    crs = pyproj.CRS.from_epsg(epsg)
    return None if crs.is_geographic else pyproj.Proj(crs)


def _shift(lots: Shapes, live: Shapes) -> Shift | None:
    """Where lots lie against live lots of the same size nearby: the shift that most of them have in common."""
    live = live[~shapely.is_missing(live)]
    if not len(live):
        return None
    (here, extent), (there, sizes) = _boxes(lots), _boxes(live)
    order = np.argsort(sizes[:, 0])
    there, sizes = there[order], sizes[order]
    first = np.searchsorted(sizes[:, 0], extent[:, 0] - _SAME_SIZE_FT)
    alike = np.searchsorted(sizes[:, 0], extent[:, 0] + _SAME_SIZE_FT) - first
    # Lots of a peculiar size tell most; where all are alike, a few have to do.
    kept = np.argsort(alike, kind="stable")
    kept = kept[np.cumsum(alike[kept]) <= max(_PAIRS, int(alike.min()))]
    here, extent, first, alike = here[kept], extent[kept], first[kept], alike[kept]
    owners = np.repeat(np.arange(len(kept)), alike)
    others = np.arange(len(owners)) + np.repeat(first - np.cumsum(alike) + alike, alike)
    away = here[owners] - there[others]
    near = (np.abs(extent[owners, 1] - sizes[others, 1]) < _SAME_SIZE_FT) & (np.abs(away) < _REACH_FT).all(axis=1)
    away, owners = away[near], owners[near]
    if not len(away):
        return None
    bins, member, votes = np.unique(np.floor(away / _CLUSTER_FT), axis=0, return_inverse=True, return_counts=True)
    found: list[Shift] = []
    for place in np.lexsort((np.hypot(*bins.T), -votes))[:_CLUSTERS]:
        centre = np.median(away[member == place], axis=0)
        close = np.hypot(*(away - centre).T) < _CLUSTER_FT
        east, north = np.median(away[close], axis=0)
        agreed = len(np.unique(owners[close]))
        found.append(Shift(float(east), float(north), agreed, agreed / len(kept)))
    best = max(found, key=lambda shift: (shift.lots, -shift.feet))
    # In a grid of lots that are all alike many shifts would do: then it is none, or there is no telling.
    apart = [
        it for it in found if math.dist((it.east_ft, it.north_ft), (best.east_ft, best.north_ft)) > 2 * _CLUSTER_FT
    ]
    unsure = any(it.lots >= _NEARLY * best.lots for it in apart)
    return None if unsure and best.feet > _CLUSTER_FT else best
