"""Evidence that addresses belong to parcels, put together into links with a confidence. Arrays in, arrays out.

Three kinds of evidence name parcels: the number that came with the address, the land on which the point lies, and a
location that says the same number and street. Not here: the database, and how a location is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import shapely

from addresses.columns import Flags, Floats, grouped, numbered
from statewide.geometry import Shapes
from statewide.standard import AddressLinkLaw

METHODS = ("parcel_number", "inside", "near", "address_text")
"""Codes of the list `link_method`, in its order: the first that holds is named."""

Places = npt.NDArray[np.int64]

_NUMBER, _PLACE, _TEXT = range(3)


@dataclass(frozen=True)
class Addresses:
    """What is compared of the address points of a town; `loose` says that a point may lie beside its lot."""

    points: Shapes
    loose: Flags
    number: pa.Array
    link: pa.Array
    street_address: pa.Array
    unit: pa.Array


@dataclass(frozen=True)
class Parcels:
    """What is compared of the parcels of a town: normalised number and link, and what their location says.

    `is_lot` is false for roads and waters that are drawn as parcels.
    """

    shapes: Shapes
    is_lot: Flags
    number: pa.Array
    link: pa.Array
    street_address: pa.Array
    unit: pa.Array


@dataclass(frozen=True)
class Links:
    """Pairs of places in the addresses and in the parcels, by address and then by parcel.

    `method` is a place in `METHODS`; bit n of `evidence` says that method n holds. `conflict` has a code of the list
    `link_conflict`, or None, for every address.
    """

    address: Places
    parcel: Places
    method: Places
    evidence: Places
    distance_ft: Floats
    confidence: Floats
    is_best: Flags
    conflict: npt.NDArray[np.object_]


def link(addresses: Addresses, parcels: Parcels, law: AddressLinkLaw) -> Links:
    """The links of a town. The same rows in another order give the same links, ties between equal parcels excepted."""
    most = law.parcels_max
    named = [
        _by_number(addresses, parcels, most),
        _by_place(addresses, parcels),
        _by_text(addresses, parcels, most),
    ]
    wide = max(len(parcels.shapes), 1)
    codes = [address * wide + parcel for address, parcel in named]
    pairs = np.unique(np.concatenate(codes))
    address, parcel = pairs // wide, pairs % wide
    flags = np.zeros((3, len(pairs)), dtype=bool)
    for flag, code in zip(flags, codes, strict=True):
        flag[np.searchsorted(pairs, code)] = True
    distance = np.zeros(len(pairs))
    off = np.flatnonzero(~flags[_PLACE])
    distance[off] = shapely.distance(addresses.points[address[off]], parcels.shapes[parcel[off]])
    flags[_TEXT] = _preferred(address, flags[_TEXT], distance <= law.near_ft, len(addresses.points))
    flags = _narrowed(address, flags, len(addresses.points))
    told = flags.any(axis=0)
    address, parcel, distance, flags = address[told], parcel[told], distance[told], flags[:, told]
    near = flags[_TEXT] & (distance <= law.near_ft)
    holds = np.array([flags[_NUMBER], flags[_PLACE], near, flags[_TEXT] & ~near])
    confidence = _confidence(addresses, address, flags, near, law)
    method = holds.argmax(axis=0)
    return Links(
        address=address,
        parcel=parcel,
        method=method,
        evidence=(holds.T @ (1 << np.arange(len(METHODS)))).astype(np.int64),
        distance_ft=np.round(distance, 2),
        confidence=confidence,
        is_best=_best(address, parcel, confidence, method, distance),
        conflict=_conflicts(addresses, parcels, address, parcel, flags[_PLACE]),
    )


def _by_number(addresses: Addresses, parcels: Parcels, most: int) -> tuple[Places, Places]:
    """Pairs by the parcel's number; where no parcel has the number, by its link to the assessor's records."""
    address, parcel = _same(addresses.number, parcels.number, most)
    more_addresses, more_parcels = _same(_of_others(addresses.link, address), parcels.link, most)
    return np.concatenate([address, more_addresses]), np.concatenate([parcel, more_parcels])


def _by_text(addresses: Addresses, parcels: Parcels, most: int) -> tuple[Places, Places]:
    """Pairs by number, street and unit; where no parcel has them, by number and street if one side says no unit."""
    sides = (addresses, parcels)
    ours, theirs = (
        pc.binary_join_element_wise(side.street_address, pc.fill_null(side.unit, ""), "#") for side in sides
    )
    address, parcel = _same(ours, theirs, most)
    more_addresses, more_parcels = _same(_of_others(addresses.street_address, address), parcels.street_address, most)
    unit, other_unit = (side.unit.is_valid().to_numpy(zero_copy_only=False) for side in sides)
    fits = ~(unit[more_addresses] & other_unit[more_parcels])
    return np.concatenate([address, more_addresses[fits]]), np.concatenate([parcel, more_parcels[fits]])


def _of_others(values: pa.Array, done: Places) -> pa.Array:
    """The values, empty at these places."""
    others = np.ones(len(values), dtype=bool)
    others[done] = False
    return pc.if_else(pa.array(others), values, pa.scalar(None, pa.string()))


def _by_place(addresses: Addresses, parcels: Parcels) -> tuple[Places, Places]:
    """Pairs of a point and a lot that covers it, boundary included."""
    lots = np.flatnonzero(parcels.is_lot)
    if not len(addresses.points) or not len(lots):
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    # Each shape is prepared once and asked about all points in its box, which is twice as quick as the other way.
    shapely.prepare(parcels.shapes[lots])
    lot, address = shapely.STRtree(addresses.points).query(parcels.shapes[lots], predicate="covers")
    return address.astype(np.int64), lots[lot]


def _same(asked: pa.Array, known: pa.Array, most: int) -> tuple[Places, Places]:
    """Pairs with the same value; a value that more than `most` of the known have is left out."""
    groups = grouped(numbered(known))
    values = known.dictionary_encode().dictionary
    group = pc.fill_null(pc.index_in(asked, value_set=values, skip_nulls=True), -1).to_numpy(zero_copy_only=False)
    left = np.flatnonzero(group >= 0)
    left = left[groups.count[group[left]] <= most]
    counts = groups.count[group[left]]
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    right = groups.order[np.repeat(groups.start[group[left]], counts) + within]
    return np.repeat(left, counts).astype(np.int64), right


def _preferred(address: Places, named: Flags, better: Flags, addresses: int) -> Flags:
    """Of the pairs named by some evidence, only the better ones for an address that has such."""
    has_better = np.zeros(addresses, dtype=bool)
    has_better[address[named & better]] = True
    return named & (better | ~has_better[address])


def _narrowed(address: Places, flags: Flags, addresses: int) -> Flags:
    """Of several parcels that one evidence names, only those that most of the other evidence names are meant."""
    narrow = []
    for flag in flags:
        others = flags.sum(axis=0) - flag
        most = np.zeros(addresses, dtype=np.int64)
        np.maximum.at(most, address[flag], others[flag])
        narrow.append(flag & (others == most[address]))
    return np.array(narrow)


def _confidence(addresses: Addresses, address: Places, flags: Flags, near: Flags, law: AddressLinkLaw) -> Floats:
    """The share of each pair in what its address may belong to, `no parcel` among them.

    Each evidence is trusted to t. A pair weighs t for evidence that names it and 1 - t for evidence that names others,
    and shares its weight with the pairs that the very same evidence names; "no parcel" weighs 1 - t for all of it.
    """
    count = len(addresses.points)
    close = np.zeros(count, dtype=bool)
    close[address[near]] = True
    trusts = (
        np.full(count, law.parcel_number),
        np.where(addresses.loose, law.inside_loosely, law.inside),
        np.where(close, law.near, law.address_text),
    )
    weight, none = np.ones(len(address)), np.ones(count)
    for flag, trust in zip(flags, trusts, strict=True):
        speaks = np.zeros(count, dtype=bool)
        speaks[address[flag]] = True
        doubt = np.where(speaks, 1 - trust, 1.0)
        none *= doubt
        weight *= np.where(flag, trust[address], doubt[address])
    alike = address * 8 + (flags.T @ np.array([1, 2, 4]))
    _, group, members = np.unique(alike, return_inverse=True, return_counts=True)
    weight /= members[group]
    whole = none + np.bincount(address, weights=weight, minlength=count)
    found: Floats = np.round(weight / whole[address], 4)
    return found


def _best(address: Places, parcel: Places, confidence: Floats, method: Places, distance: Floats) -> Flags:
    """One pair of each address: the most likely; among equals by `METHODS`, then the nearest, then the first parcel."""
    order = np.lexsort((parcel, distance, method, -confidence, address))
    best = np.zeros(len(address), dtype=bool)
    best[order[np.diff(address[order], prepend=-1) != 0]] = True
    return best


def _conflicts(
    addresses: Addresses, parcels: Parcels, address: Places, parcel: Places, inside: Flags
) -> npt.NDArray[np.object_]:
    """What is odd about each address, the gravest only."""
    count = len(addresses.points)
    texts = numbered(pa.concat_arrays([addresses.street_address, parcels.street_address]))
    ours, theirs = texts[:count], texts[count:]
    on_land, told_elsewhere, text_elsewhere = np.zeros((3, count), dtype=bool)
    on_land[address[inside]] = True
    told_elsewhere[address[~inside]] = True
    # A lot whose location one of its addresses says may have others besides.
    met = np.zeros(len(parcels.shapes), dtype=bool)
    met[parcel[inside & (ours[address] == theirs[parcel])]] = True
    says_other = inside & (theirs[parcel] >= 0) & ~met[parcel]
    text_elsewhere[address[says_other]] = True
    text_elsewhere[address[inside & ~says_other]] = False
    text_elsewhere &= ours >= 0
    found: npt.NDArray[np.object_] = np.full(count, None, dtype=object)
    found[text_elsewhere] = "text_disagrees"
    found[~on_land] = "no_parcel"
    found[on_land & told_elsewhere] = "wrong_side"
    return found


def spelled(evidence: Sequence[int] | Places) -> pa.Array:
    """Bits of `METHODS` as their codes in one text."""
    words = [
        " ".join(method for place, method in enumerate(METHODS) if bits >> place & 1)
        for bits in range(1 << len(METHODS))
    ]
    return pa.array(words, pa.string()).take(pa.array(evidence))
