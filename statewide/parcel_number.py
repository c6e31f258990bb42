"""The word that the rooms share: a parcel's number, normalised so that two spellings of it meet.

The normalised form serves for matching only; what the town wrote is kept beside it.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc


def normalize_id(values: pa.Array) -> pa.Array:
    """Capitals, one hyphen for any run of separators, no leading zeros in a part; empty becomes null.

    Sample: ``"F18-68-3"`` → ``F18-68-3``, ``"40  40"`` → ``40-40``, ``"017/0012"`` → ``17-12``, ``"0-1"`` → ``0-1``.
    """
    text = pc.utf8_upper(values)
    text = pc.replace_substring_regex(text, r"[\s\pZ\p{Pd}_./\\]+", "-")
    text = pc.utf8_trim(text, "-")
    text = pc.replace_substring_regex(text, r"(^|-)0+([0-9A-Z])", r"\1\2")
    return pc.if_else(pc.equal(text, ""), pa.scalar(None, pa.string()), text)
