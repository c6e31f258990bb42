"""Numbers and links: two spellings of one parcel meet, and two parcels stay two."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cadastral.parcel_id import make_cama_link, normalize_cama_link, split_cama_link
from statewide.parcel_number import normalize_id

printable = st.characters(exclude_categories=("Cc", "Cs"))  # conform takes control characters out before
words = st.one_of(st.text(printable, max_size=30), st.text(alphabet="0019Aaz -_/.\\–\u00a0", max_size=12))


def texts(*values: str | None) -> pa.Array:
    return pa.array(values, pa.string())


@pytest.mark.parametrize(
    ("given_", "normal"),
    [
        ("F18-68-3", "F18-68-3"),
        ("f18 68 3", "F18-68-3"),
        ("40  40", "40-40"),
        ("017/0012", "17-12"),
        ("0-1", "0-1"),
        ("000", "0"),
        ("00A-0B", "A-B"),
        ("-12-", "12"),
        ("12_3.4\\5", "12-3-4-5"),
        ("F18–68\u00a03", "F18-68-3"),
        ("", None),
        (" - ", None),
        (None, None),
    ],
)
def test_spellings_of_one_number_meet(given_: str | None, normal: str | None) -> None:
    assert normalize_id(texts(given_)).to_pylist() == [normal]


def test_parts_stay_apart() -> None:
    assert len(set(normalize_id(texts("1-23", "12-3", "123", "1-2-3", "10-23", "1-230")).to_pylist())) == 6


@given(st.lists(st.none() | words, max_size=20))
def test_normalizing_again_changes_nothing(values: list[str | None]) -> None:
    once = normalize_id(texts(*values))
    assert normalize_id(once).equals(once)
    assert "" not in once.to_pylist()


# ── trap 2: CAMA_Link is split at the first hyphen only ──────────────────────────────────────────────────────────────


@given(st.from_regex(r"[0-9]{5}", fullmatch=True), st.text(alphabet="AZ09- ", min_size=1, max_size=15))
def test_trap_2_a_cama_link_is_split_at_the_first_hyphen_only(fips: str, link: str) -> None:
    codes, links = split_cama_link(texts(f"{fips}-{link}"))
    assert codes.to_pylist() == [fips]
    assert links.to_pylist() == [link.strip() or None]


@pytest.mark.parametrize(
    ("value", "fips", "link"),
    [
        ("01080-206", "01080", "206"),
        ("08070-134-41A", "08070", "134-41A"),
        ("14300-", "14300", None),
        ("206", None, None),
        ("1080-206", None, None),
        ("52350_206", None, None),
        (None, None, None),
    ],
)
def test_what_is_no_cama_link_has_no_parts(value: str | None, fips: str | None, link: str | None) -> None:
    codes, links = split_cama_link(texts(value))
    assert (codes.to_pylist(), links.to_pylist()) == ([fips], [link])


def test_trap_7_the_town_code_keeps_its_leading_zero() -> None:
    assert normalize_cama_link(texts("01080-007/02", "14300-", "nonsense")).to_pylist() == ["01080-7-2", None, None]


@given(st.lists(st.none() | words, max_size=10))
def test_a_link_that_we_make_is_read_back(links: list[str | None]) -> None:
    made = make_cama_link("01080", texts(*links))
    for link, whole in zip(links, made.to_pylist(), strict=True):
        assert (whole is None) == (link is None or not link.strip())
    assert normalize_cama_link(made).to_pylist() == [
        None if number is None else f"01080-{number}" for number in normalize_id(texts(*links)).to_pylist()
    ]
