"""What the parts of one delivery say of each other before each is taken on its own: the words that rooms speak in.

A room that takes several datasets in together gives the hall a `Meet`; what it finds is a `Meeting`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import pyarrow as pa

from statewide.crosswalk import Reviewed
from statewide.database import Connection
from statewide.register import Town
from statewide.standard import Standard

Evidence = Mapping[tuple[str, str], float]
"""(field, column) → share of the column's values that meet the other part's."""


@dataclass(frozen=True)
class Arriving:
    """A part as it came: its columns under the town's names, persons taken out, and how the town says to read it."""

    columns: pa.Table
    reviewed: Reviewed


@dataclass(frozen=True)
class KeyTried:
    """A way to join two parts: the rule in words, the shares that meet both ways, and the share of the rows that meet
    whose addresses agree (None: no addresses).
    """

    rule: str
    parcels: float
    assessments: float
    agreement: float | None
    chosen: bool


@dataclass(frozen=True)
class Meeting:
    """What the parts found out of one another; everything by dataset.

    Args:
        joined: the value by which each row meets the rows of the other part, null where it has none.
        evidence: for the crosswalk.
        findings: (dataset, code, what fills its sentence).
        tried: for the report, the chosen one first.
        record: what is kept for the town's next delivery; None keeps nothing.
    """

    joined: Mapping[str, pa.Array] = field(default_factory=dict)
    evidence: Mapping[str, Evidence] = field(default_factory=dict)
    findings: Sequence[tuple[str, str, Mapping[str, Any]]] = ()
    tried: Sequence[KeyTried] = ()
    record: Mapping[str, Any] | None = None


class Meet(Protocol):
    """Brings the parts of a delivery together."""

    def __call__(
        self,
        connection: Connection,
        standard: Standard,
        town: Town,
        parts: Mapping[str, Arriving],
        saved: Mapping[str, Any] | None,
    ) -> Meeting:
        """Find how the parts meet; `saved` is the record of the town's last delivery."""
