"""Which of two classes of a layer counts where both are there, and what a polygon says of its place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from statewide.standard import Standard

NOT_MAPPED, NO_ZONE, MINIMAL = "not_mapped", "no_zone", "minimal"
"""Classes of the list that no polygon gives, and the one that a known hazard is worse than."""


class Zone(NamedTuple):
    """What polygons have in common that need not be told apart on a parcel.

    ``is_sfha`` is None in layers that have no special flood hazard areas.
    """

    zone_class: str
    label: str | None = None
    is_sfha: bool | None = None
    static_bfe_ft: float | None = None
    v_datum: str | None = None
    depth_ft: float | None = None


@dataclass(frozen=True)
class Severity:
    """Which of two classes counts where both are there.

    A known hazard counts before the unknown, and the unknown before minimal hazard: a parcel of which a part is not
    known is not called minimal.
    """

    rank: dict[str, int]
    value: dict[str, float]

    @classmethod
    def of(cls, standard: Standard) -> Severity:
        """From the law."""
        codes = standard.code_lists["hazard_class"]
        return cls(codes.ranks(), {code.code: code.value for code in codes.codes if code.value is not None})

    def is_known(self, zone_class: str) -> bool:
        """Whether the class says how much hazard there is."""
        return zone_class in self.rank

    def is_hazard(self, zone_class: str) -> bool:
        """Whether the class is worse than minimal."""
        return self.rank.get(zone_class, 0) > self.rank[MINIMAL]

    def order(self, zone_class: str) -> tuple[int, int, str]:
        """Sorts classes, the one that counts first."""
        if self.is_hazard(zone_class):
            return (0, -self.rank[zone_class], zone_class)
        if not self.is_known(zone_class):
            return (1, 0, zone_class)
        return (2, -self.rank[zone_class], zone_class)
