"""What only FEMA's flood zones (NFHL, S_FLD_HAZ_AR) have: a class from zone and subtype together, and the SFHA.

The lines that decide stand in ``schemas/codes/hazard_class.yml``; how the layer is loaded is in ``layers``.
"""

from __future__ import annotations

import fnmatch
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from statewide.conform import with_column
from statewide.standard import Code

LAYER = "flood-zones"

_SFHA_ZONE = re.compile(r"[AV](E|H|O|R|\d+)?(/.*)?$")
"""The zones that make a special flood hazard area (44 CFR 64.3), for files that lack SFHA_TF."""


@dataclass(frozen=True)
class ZoneClasses:
    """The lines of the class list, ready to be asked."""

    lines: tuple[tuple[re.Pattern[str], str, str], ...]

    @classmethod
    def of(cls, codes: Sequence[Code]) -> ZoneClasses:
        """From codes of the law, in their order."""
        lines = tuple(
            (re.compile(fnmatch.translate(variant), re.IGNORECASE), code.code, variant)
            for code in codes
            for variant in code.variants
        )
        return cls(lines)

    def classify(self, *values: str | None) -> tuple[str | None, str | None]:
        """Class of a zone and its subtype, and the line of the list that says so; None where no line fits."""
        written = " | ".join(" ".join((value or "").split()) for value in values)
        for pattern, code, line in self.lines:
            if pattern.match(written):
                return code, line
        return None, None


def with_sfha(rows: pa.Table) -> pa.Table:
    """The rows with `is_sfha` from the zone where the file does not say it."""
    filled = [
        bool(_SFHA_ZONE.match(zone or "")) if delivered is None else delivered
        for zone, delivered in zip(rows.column("fld_zone").to_pylist(), rows.column("is_sfha").to_pylist(), strict=True)
    ]
    return with_column(rows, "is_sfha", pa.array(filled, pa.bool_()))


def oddities(rows: pa.Table, classes: ZoneClasses, otherwise: str | None) -> Counter[str]:
    """What FEMA's standard does not foresee, and in how many rows. `is_sfha` must be as delivered."""
    odd: Counter[str] = Counter()
    columns = (rows.column(name).to_pylist() for name in ("fld_zone", "zone_subtype", "is_sfha"))
    for zone, subtype, sfha in zip(*columns, strict=True):
        code, line = classes.classify(zone, subtype)
        if line is None:
            odd[f"zone {zone or '(empty)'}, none that FEMA defines, classed as {otherwise}"] += 1
        elif line == "X | *":
            odd[f"zone X with the subtype {subtype}, not in our list, classed as {code}"] += 1
        if sfha is not None and sfha != bool(_SFHA_ZONE.match(zone or "")):
            odd[f"zone {zone} with SFHA_TF {'T' if sfha else 'F'}, taken as delivered"] += 1
    return odd
