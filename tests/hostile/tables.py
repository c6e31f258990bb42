"""Text tables, workbooks and lone .dbf files, with shapes in their columns or without (reliability study 2d)."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import shapely

from tests.hostile.corpus import Bait, Entry, Read, Refused
from tests.hostile.ingredients import STREETS, WKT, Cell, csv, part, patched, xlsx, xlsx_row, zip_of

_IDS = ["001", "002", "003"]
_WHOLE = Read(cells={"id": _IDS, "street": list(STREETS)}, empty=0)


def entries(bait: Bait) -> Iterator[Entry]:
    yield from _lines()
    yield from _quotes()
    yield from _text_encodings()
    yield from _headers()
    yield from _cells()
    yield from _shape_cells(bait)
    yield from _workbooks(bait)
    yield from _lone_dbf()


def _lots(count: int) -> list[str]:
    return [f'{n:05d},{STREETS[n % 3]},"{WKT[0]}"' for n in range(count)]


def _lines() -> Iterator[Entry]:
    whole = csv()
    yield Entry("plain.csv", whole, _WHOLE)
    yield Entry("plain.txt", whole, _WHOLE)
    yield Entry("plain without a suffix", whole, _WHOLE)
    yield Entry("in a zip.zip", zip_of({"parcels.csv": whole}), _WHOLE)
    yield Entry("ends of Windows.csv", csv(end="\r\n"), _WHOLE)
    yield Entry("ends of old Macs.csv", csv(end="\r"), _WHOLE)
    yield Entry("no end of the last line.csv", whole.rstrip(), _WHOLE)
    yield Entry("empty lines.csv", whole.replace(b"\n", b"\n\n"), _WHOLE)
    yield Entry("empty lines at the end.csv", whole + b"\n\r\n\n", _WHOLE)
    for how, mark in (("semicolons", ";"), ("tabs", "\t"), ("bars", "|")):
        lines = [f"{n + 1:03d}{mark}{STREETS[n]}{mark}{WKT[n]}" for n in range(3)]
        yield Entry(f"{how}.csv", csv(*lines, header=mark.join(("id", "street", "wkt"))), _WHOLE)
    yield Entry("mark for the delimiter.csv", b"sep=,\n" + whole, _WHOLE)
    titles = b"Town of Alder\nExported 1 May\n\n" + whole
    yield Entry("titles above.csv", titles, _WHOLE)
    ragged = _lots(1000)
    ragged[500] = "00500,Elm St"
    one = Read(999, counted=1000, broken=(502,), said="fields of the header")
    yield Entry("a line of two fields.csv", csv(*ragged), one)
    ragged[500] = f'00500,Elm St,Apt 3,"{WKT[0]}"'
    yield Entry("a line of four fields.csv", csv(*ragged), one)
    trailing = [f"{line},," for line in _lots(3)]
    yield Entry(
        "commas at the ends of lines.csv",
        csv(*trailing),
        Read(columns=("id", "street")),
    )
    yield Entry("commas and nothing else.csv", b"," * 100 + b"\n" + b"," * 100 + b"\n", Refused("not|without"))
    yield Entry("a million commas.csv", csv() + b"," * 1_000_000 + b"\n", Read(4, said="beyond the header", empty=1))
    yield Entry("a header alone.csv", b"id,street,wkt\n", Refused("not a map|without shapes|no rows"))
    yield Entry("a header alone as a table.csv", b"id,street,value\n", Refused("not a map"), shapes=False)
    yield Entry(
        "two lines as a table.csv", b"id,street,value\n1,Elm St,5\n", Read(1, cells={"id": ["1"]}), shapes=False
    )
    yield Entry("a table and not a map.csv", b"id,value\n1,5\n2,6\n3,7\n", Refused("table without shapes"))
    yield Entry(
        "cut in the middle of a line.csv", csv(*_lots(1000))[:-40], Read(999, counted=1000, broken=(1001,), said="line")
    )
    glued = csv() + csv()
    yield Entry("glued to itself.csv", glued, Read(7, lost=1, said="."))


def _quotes() -> Iterator[Entry]:
    stray = _lots(1000)
    stray[500] = f'00500,"Elm St,"{WKT[0]}"'
    yield Entry("a stray quote.csv", csv(*stray), Read(999, counted=1000, broken=(502,), said="fields"))
    open_quote = [f"{n:05d},{STREETS[n % 3]},7" for n in range(1000)]
    open_quote[500] = '00500,"Elm St,7'
    yield Entry("a quote never closed.csv", csv(*open_quote, header="id,street,value"),
                Read(1000, said="quotation mark"), shapes=False)  # fmt: skip
    inches = [f'{n:05d},Lot 5" wide,7' for n in range(1000)]
    yield Entry("inches.csv", csv(*inches, header="id,street,value"), Read(1000), shapes=False)
    every = [f'{n:05d},"Elm St,7' for n in range(3000)]
    yield Entry("a quote never closed on every line.csv", csv(*every, header="id,street,value"),
                Read(3000, said="quotation mark"), shapes=False)  # fmt: skip
    two = '001,"Elm St\nrear",7', '002,"Oak ""St""",7', "003,Main St,7"
    yield Entry("a cell of two lines.csv", csv(*two, header="id,street,value"),
                Read(cells={"street": ["Elm St\nrear", 'Oak "St"', "Main St"]}), shapes=False)  # fmt: skip
    single = "001,'Elm, St',7", "002,'Oak St',7", "003,'Main St',7"
    yield Entry("single quotes around a comma.csv", csv(*single, header="id,street,value"),
                Read(2, counted=3, broken=(2,), said="fields"), shapes=False)  # fmt: skip
    yield Entry(
        "nothing but quotes.csv",
        b"id,value\n" + b'"' * 100_001 + b",1\n2,2\n3,3\n",
        Refused("not a map file"),
        shapes=False,
    )


def _text_encodings() -> Iterator[Entry]:
    names = ["Müller", "Peña", "Ñuñez"]
    text = csv(*(f"{n + 1:03d},{names[n]},{n}" for n in range(3)), header="id,street,value").decode()
    whole = Read(cells={"street": names})
    for how, encoding in (
        ("utf-8", "utf-8"), ("utf-8 with a mark", "utf-8-sig"), ("utf-16", "utf-16"), ("latin-1", "latin-1"),
        ("utf-16 without a mark", "utf-16-le"), ("utf-16 the other way", "utf-16-be"),
    ):  # fmt: skip
        yield Entry(f"text in {how}.csv", text.encode(encoding), whole, shapes=False)
    mixed = text.encode().replace("Peña".encode(), "Peña".encode("latin-1"))
    yield Entry("text in two encodings.csv", mixed, Read(said="two encodings", cells={"street": names}), shapes=False)
    yield Entry("text in utf-32.csv", text.encode("utf-32-le"), Refused("not a map file"), shapes=False)
    yield Entry("text in utf-16 cut in a letter.csv", text.encode("utf-16")[:-1], Refused("UTF-16"), shapes=False)
    nul = text.replace("Müller", "Mul\0ler").encode()
    yield Entry("NUL in a text.csv", nul, Refused("not a map file"), shapes=False)
    yield Entry(
        "control letters.csv",
        text.replace("Müller", "M\x07\x1bx").encode(),
        Read(cells={"street": ["M\x07\x1bx", *names[1:]]}),
        shapes=False,
    )
    ebcdic = csv(*(f"{n:03d},x,{n}" for n in range(3))).decode().encode("cp037")
    yield Entry("text of a mainframe.csv", ebcdic, Refused("not a map file"), shapes=False)


def _headers() -> Iterator[Entry]:
    rows = ("001,Elm St,7", "002,Oak St,8", "003,Main St,9")
    twice = Read(said="stands 2 times", columns=("id", "street", "street_1"))
    yield Entry("a column twice.csv", csv(*rows, header="id,street,street"), twice, shapes=False)
    yield Entry(
        "a column twice but for case.csv",
        csv(*rows, header="id,street,STREET"),
        Read(said="stands 2 times"),
        shapes=False,
    )
    yield Entry(
        "a column without a name.csv",
        csv(*rows, header="id,,value"),
        Read(columns=("id", "column_2", "value")),
        shapes=False,
    )
    yield Entry("no header.csv", b"001,5,7\n002,6,8\n003,7,9\n", Read(said="no header"), shapes=False)
    named = 'row_no,geometry,"a\'; DROP TABLE x; --"'
    yield Entry(
        "hostile names.csv",
        csv(*rows, header=named),
        Read(columns=("row_no_1", "geometry_1", "a'; DROP TABLE x; --")),
        shapes=False,
    )
    wide = ",".join(f"c{n}" for n in range(3000))
    yield Entry("three thousand columns.csv", csv(*[",".join("7" * 3000)] * 3, header=wide), Read(), shapes=False)
    yield Entry(
        "a name of 100 KB.csv",
        csv(*rows, header=f"id,street,{'v' * 100_000}"),
        Refused("names are no names"),
        shapes=False,
    )
    yield Entry(
        "header longer than the lines.csv",
        csv(*rows, header="id,street,value,more"),
        Read(0, counted=3, broken=(2, 3, 4), said="fields of the header"),
        shapes=False,
    )


def _cells() -> Iterator[Entry]:
    odd = [
        "00123",
        "1E5",
        "12345678901234567890123",
        "9007199254740993",
        '=HYPERLINK(""http://x"")',
        "+1",
        "-0",
        "@x",
        "NULL",
        "nan",
        "1/2/2020",
        " 7 ",
    ]
    rows = [f'{n},"{cell}",x' for n, cell in enumerate(odd)]
    kept = Read(12, cells={"street": [cell.replace('""', '"') for cell in odd]})
    yield Entry("values that look like something else.csv", csv(*rows, header="id,street,value"), kept, shapes=False)
    long = csv('001,"' + "x" * 12_000_000 + '",7', "002,Oak St,8", "003,Main St,9", header="id,street,value")
    yield Entry("a cell of 12 MB.csv", long, Read(), shapes=False)
    big = shapely.Point(0, 0).buffer(1, quad_segs=2500).wkt
    yield Entry("a first shape of 300 KB.csv", csv(f'001,Elm St,"{big}"', f'002,Oak St,"{WKT[0]}"'), Read(2, empty=0))
    late = [f"{n},7,x" for n in range(3000)] + ["3000,seven,x"]
    yield Entry(
        "a text late in a column of numbers.csv", csv(*late, header="id,street,value"), Read(3001), shapes=False
    )


def _shape_cells(bait: Bait) -> Iterator[Entry]:
    def wkt(*cells: str) -> bytes:
        return csv(*(f'{n + 1:03d},x,"{cell}"' for n, cell in enumerate((*WKT, *cells))))

    lost = Read(4, lost=1, said="could not be read", empty=1)
    yield Entry("wkt cut off.csv", wkt("POLYGON ((0 0, 1 0, 1 "), lost)
    yield Entry("wkt of words.csv", wkt("see the map"), lost)
    yield Entry("wkt of NaN.csv", wkt("POLYGON ((0 0, nan 0, 1 1, 0 0))"), Read(4, empty=0))
    yield Entry("wkt of 1e400.csv", wkt("POLYGON ((0 0, 1e400 0, 1 1, 0 0))"), Read(4))
    yield Entry("wkt not closed.csv", wkt("POLYGON ((0 0, 1 0, 1 1, 0 1))"), Read(4, lost=1, said=".", empty=1))
    yield Entry("wkt empty.csv", wkt("POLYGON EMPTY", ""), Read(5, empty=2))
    yield Entry(
        "wkt of a curve.csv",
        wkt("CURVEPOLYGON (CIRCULARSTRING (0 0, 1 1, 2 0, 1 -1, 0 0))"),
        Read(4, lost=1, said=".", empty=1),
    )
    yield Entry(
        "wkt with a system.csv", csv(*(f'{n},x,"SRID=2234;{one}"' for n, one in enumerate(WKT))), Read(epsg=2234)
    )
    yield Entry(
        "wkt with a system of its own.csv",
        csv(*(f'{n},x,"SRID=999999;{one}"' for n, one in enumerate(WKT))),
        Read(epsg=None, said="coordinate system"),
    )
    nested = "GEOMETRYCOLLECTION (" * 30_000 + "POINT (0 0)" + ")" * 30_000
    yield Entry("wkt nested 30000 deep.csv", wkt(nested), Refused("nested|crashed its reader"))
    yield Entry(
        "wkt nested 60 deep.csv", wkt("GEOMETRYCOLLECTION (" * 60 + "POINT (0 0)" + ")" * 60), Refused("nested")
    )
    spreadsheet = "POLYGON ((" + "0 0, " * 8000
    yield Entry("wkt cut by a spreadsheet.csv", wkt(spreadsheet[:32767]), Read(4, lost=1, said="32,767", empty=1))
    square = shapely.box(0, 0, 1, 1)
    hexes = [shapely.to_wkb(square, hex=True)] * 3
    yield Entry("wkb in letters.csv", csv(*(f"{n},x,{one}" for n, one in enumerate(hexes))), Read(empty=0))
    level = struct.pack("<BLL", 1, 7, 1).hex()
    deep = level * 30_000 + struct.pack("<BLL", 1, 7, 0).hex()
    yield Entry(
        "wkb nested 30000 deep.csv",
        csv(*(f"{n},x,{one}" for n, one in enumerate([*hexes, deep]))),
        Refused("nested|crashed its reader"),
    )
    points = [f"{n},{950000 + n},{600000 + n}" for n in range(3)]
    yield Entry("coordinates.csv", csv(*points, header="id,x_coord,y_coord"), Read(empty=0))
    points[1] = "1,unknown,600001"
    points.append("3,inf,-inf")
    words = Read(4, lost=2, said=r"missing: 2 \(rows 2, 4\)", empty=2)
    yield Entry("coordinates with words.csv", csv(*points, header="id,x_coord,y_coord"), words)
    points[1:] = ["1,,", "2,600001,NULL"]
    yield Entry(
        "coordinates with gaps.csv", csv(*points, header="id,x_coord,y_coord"), Read(3, lost=1, said="row 3", empty=2)
    )
    pointer = csv(*(f'{n},x,"{bait.secret}"' for n in range(3)))
    yield Entry("a path where the shape should be.csv", pointer, Refused("table without shapes"))


def _workbooks(bait: Bait) -> Iterator[Entry]:
    plain: list[tuple[Cell, ...]] = [
        ("id", "street", "value"),
        ("001", "Elm St", 7),
        ("002", "Oak St", 8),
        ("003", "Main St", 9),
    ]
    ids = {"id": _IDS}
    yield Entry("plain.xlsx", xlsx(), _WHOLE)
    yield Entry("plain in a zip.zip", zip_of({"parcels.xlsx": xlsx()}), _WHOLE)
    yield Entry("table.xlsx", xlsx(plain), Read(cells=ids | {"value": ["7", "8", "9"]}), shapes=False)
    yield Entry("a table and not a map.xlsx", xlsx(plain), Refused("table without shapes"))
    yield Entry("named csv.csv", xlsx(plain), Read(cells=ids), shapes=False)
    yield Entry("no rows.xlsx", xlsx([]), Refused("without a filled sheet"), shapes=False)
    yield Entry("two sheets alike.xlsx", xlsx(plain, names=("East", "West")), Refused("several tables"), shapes=False)
    yield Entry(
        "a sheet asked for.xlsx", xlsx(plain, names=("East", "West")), Read(cells=ids), layer="West", shapes=False
    )
    yield Entry("a sheet of a hostile name.xlsx", xlsx(plain, names=("a\"'; <b>../..",)), Read(cells=ids), shapes=False)

    def rows(*last: str) -> bytes:
        return xlsx(sheet="".join(xlsx_row(n, row) for n, row in enumerate(plain, start=1)) + "".join(last))

    far = '<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>'
    yield Entry("a cell at the far corner.xlsx", rows(far), Refused("cells"), shapes=False)
    yield Entry(
        "a row of number 2^31.xlsx",
        rows('<row r="2147483648"><c r="A2147483648"><v>1</v></c></row>'),
        Refused("cells|damaged"),
        shapes=False,
    )
    yield Entry(
        "a row of no number.xlsx", rows('<row r="x"><c r="A9"><v>1</v></c></row>'), Refused("damaged"), shapes=False
    )
    yield Entry(
        "a row of number -1.xlsx",
        rows('<row r="-1"><c r="A-1"><v>1</v></c></row>'),
        Refused("damaged|cells"),
        shapes=False,
    )
    yield Entry(
        "a column of five letters.xlsx",
        rows('<row r="5"><c r="ABCDE5"><v>1</v></c></row>'),
        Refused("damaged|cells"),
        shapes=False,
    )
    yield Entry(
        "a text that is not in the list.xlsx",
        rows('<row r="5"><c r="A5" t="s"><v>999999</v></c></row>'),
        Refused("damaged"),
        shapes=False,
    )
    yield Entry(
        "rows without numbers.xlsx",
        xlsx(sheet="".join(xlsx_row(n, r) for n, r in enumerate(plain, 1)).replace(' r="', ' x="')),
        Read(cells=ids),
        shapes=False,
    )
    long = rows(
        xlsx_row(5, ("004", "Elm St", "x")).replace("</row>", "") + '<c r="D5"><v>12345678901234567890</v></c></row>'
    )
    yield Entry("a number of 20 digits.xlsx", long, Read(4, said="more than 15 digits"), shapes=False)
    yield Entry(
        "an error in a cell.xlsx",
        rows('<row r="5"><c r="A5" t="e"><v>#N/A</v></c></row>'),
        Read(3, counted=4),
        shapes=False,
    )
    formula = rows(
        '<row r="5"><c r="A5"><f>HYPERLINK("http://x")</f></c><c r="B5" t="str"><f>1+1</f><v>Elm St</v></c></row>'
    )
    yield Entry("formulas.xlsx", formula, Read(4, cells={"street": [*STREETS, "Elm St"]}), shapes=False)
    declared = "<?xml version='1.0'?><!DOCTYPE x [<!ENTITY x SYSTEM 'file://%s'>]><worksheet><sheetData>&x;</sheetData></worksheet>"
    sheet = "xl/worksheets/sheet1.xml"
    yield Entry(
        "an entity of a file.xlsx",
        xlsx(parts={sheet: (declared % bait.secret).encode()}),
        Refused("document type"),
        shapes=False,
    )
    laughs = "".join(f'<!ENTITY l{n + 1} "{f"&l{n};" * 10}">' for n in range(9))
    strings = f'<!DOCTYPE sst [<!ENTITY l0 "lol">{laughs}]><sst count="1"><si><t>&l9;</t></si></sst>'
    yield Entry(
        "a billion laughs in the texts.xlsx",
        xlsx(plain, parts={"xl/sharedStrings.xml": strings.encode()}),
        Refused("document type|damaged"),
        shapes=False,
    )
    external = f'<externalLink><externalBook r:id="rId1"/><Target>{bait.url}/other.xlsx</Target></externalLink>'
    yield Entry(
        "linked to another book.xlsx",
        xlsx(plain, parts={"xl/externalLinks/externalLink1.xml": external.encode()}),
        Read(cells=ids),
        shapes=False,
    )
    macros = xlsx(plain, parts={"xl/vbaProject.bin": b"\xd0\xcf\x11\xe0" + bytes(100)})
    yield Entry("with macros.xlsm", macros, Read(cells=ids), shapes=False)
    away = xlsx(plain).replace(b"worksheets/sheet1.xml", b"../../../etc/passwd00")
    yield Entry("sheet outside of it.xlsx", away, Refused("damaged|leads out"), shapes=False)
    yield Entry(
        "sheet cut off.xlsx",
        xlsx(parts={sheet: b"<worksheet><sheetData><row><c><v>1</v>"}),
        Refused("damaged"),
        shapes=False,
    )
    yield Entry(
        "sheet missing.xlsx",
        xlsx(names=("Parcels",)).replace(b"sheet1.xml", b"sheet9.xml", 3),
        Refused("damaged|workbook"),
        shapes=False,
    )
    yield Entry("cut in half.xlsx", xlsx(plain)[:700], Refused("zip|damaged"), shapes=False)
    bomb = "".join(f'<row r="{n}"><c r="A{n}"><v>1</v></c></row>' for n in range(2, 300_002))
    yield Entry("300000 rows.xlsx", xlsx(sheet=xlsx_row(1, ("id",)) + bomb), Read(300_000), shapes=False)
    blown = xlsx(plain, parts={sheet: b"<worksheet><sheetData>" + b" " * 40_000_000 + b"</sheetData></worksheet>"})
    yield Entry("ratio bomb.xlsx", blown, Refused("times its size"), shapes=False)
    yield Entry("password.xlsx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(3000), Refused("old Office"), shapes=False)
    ods = zip_of({"mimetype": b"application/vnd.oasis.opendocument.spreadsheet", "content.xml": b"<x/>"})
    yield Entry("open document.ods", ods, Refused("no map|office|OpenDocument"), shapes=False)


def _lone_dbf() -> Iterator[Entry]:
    dbf = part("dbf", 1000)
    yield Entry("plain.dbf", bytes(part("dbf")), Read(cells={"id": _IDS}), shapes=False)
    yield Entry("plain asked for as a map.dbf", bytes(part("dbf")), Refused("one part of a map"))
    yield Entry(
        "says 500 records.dbf", patched(dbf, (4, struct.pack("<L", 500))), Read(500, said="has room for"), shapes=False
    )
    yield Entry(
        "says 2^32 records.dbf",
        patched(dbf, (4, b"\xff" * 4)),
        Read(1000, counted=2**32 - 1, said="has room for"),
        shapes=False,
    )
    yield Entry(
        "cut in half.dbf", bytes(dbf[: len(dbf) // 2]), Read(499, counted=1000, said="has room for"), shapes=False
    )
    yield Entry("noise.dbf", bytes(range(256)) * 9, Refused("dbf"), shapes=False)
    yield Entry(
        "passwd under the name.dbf", b"root:x:9:9:root:/root:/bin/sh\n" * 20, Refused("dbf|damaged"), shapes=False
    )
