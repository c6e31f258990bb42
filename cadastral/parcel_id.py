"""A parcel's CAMA link, normalised so that two spellings meet; the number itself is the hall's `parcel_number`.

Normalised forms serve for matching only; what the town wrote is kept beside them.
"""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc

from statewide.crosswalk import Crosswalk
from statewide.parcel_number import normalize_id

FIPS_LENGTH = 5


def split_cama_link(values: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Town code and town's own link of CAMA links; split at the first hyphen only, for the link may have its own.

    Sample: ``01080-206`` → ``01080``, ``206``; ``08070-134-41A`` → ``08070``, ``134-41A``;
    ``14300-`` → ``14300``, null; ``206`` → null, null.
    """
    pattern = rf"^(?P<fips>[0-9]{{{FIPS_LENGTH}}})-(?P<link>.*)$"
    parts = pc.extract_regex(values, pattern)
    fips = pc.struct_field(parts, "fips")
    link = pc.utf8_trim_whitespace(pc.struct_field(parts, "link"))
    return fips, pc.if_else(pc.equal(link, ""), pa.scalar(None, pa.string()), link)


def normalize_cama_link(values: pa.Array) -> pa.Array:
    """``<town code>-<normalised link>``; null where the town's part is blank or the value is no CAMA link."""
    fips, link = split_cama_link(values)
    return pc.binary_join_element_wise(fips, normalize_id(link), "-")


def make_cama_link(cousub_fips: str, links: pa.Array) -> pa.Array:
    """The CAMA link that the State would make from a town's own link; null where the link is blank."""
    trimmed = pc.utf8_trim_whitespace(links)
    blank = pc.equal(trimmed, "")
    joined = pc.binary_join_element_wise(pa.scalar(cousub_fips), trimmed, "-")
    return pc.if_else(blank, pa.scalar(None, pa.string()), joined)


def number_facts(*fields: str) -> Callable[[pa.Table, Crosswalk], dict[str, int]]:
    """What counts, of delivered numbers and links as given, the blank ones and the rows that share one."""

    def facts(source: pa.Table, crosswalk: Crosswalk) -> dict[str, int]:
        found = {}
        for field in fields:
            if field not in crosswalk.mapping:
                continue
            values = source.column(crosswalk.mapping[field]).cast(pa.string())
            counts = values.drop_null().value_counts().field("counts").to_numpy()
            blank = pc.equal(pc.utf8_trim_whitespace(pc.fill_null(values, "")), "")
            found[f"blank_{field}"] = int(pc.sum(blank).as_py() or 0)
            found[f"rows_sharing_a_{field}"] = int(counts[counts > 1].sum())
        return found

    return facts
