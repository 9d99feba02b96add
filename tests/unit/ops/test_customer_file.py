"""Reading customers from a CSV: what is taken, what is rejected and why, what is no CSV at all."""

from pathlib import Path

import pytest

from domain.customer_list import read_rows, values_of
from ops import import_command
from ops.customer_file import CustomerFileError, read_customer_file
from ops.import_command import read_parts

HEADER = "id,name,email,phone,country,zone,language,amount"
GOOD = "c-1,Amélie Roux,amelie@example.com,06 39 98 00 01,FR,Europe/Paris,fr,12.50"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "customers.csv"


def rejection(path: Path, row: str) -> str:
    path.write_text(f"{HEADER}\n{row}\n", encoding="utf-8")
    file = read_customer_file(path)
    assert not file.customers
    return file.rejected[0].reason


def test_row_becomes_a_normalised_profile_and_unknown_columns_its_values(path: Path) -> None:
    path.write_text(f"{HEADER}\n{GOOD}\n", encoding="utf-8")
    (row,) = read_customer_file(path).customers
    assert (row.line, row.customer) == (2, "c-1")
    assert row.profile.phone == "+33639980001"
    assert row.profile.values == {"amount": "12.50"}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("delimiter", [",", ";"])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_dialects_of_spreadsheets_are_read_alike(
    path: Path, encoding: str, delimiter: str, ending: str
) -> None:
    lines = [HEADER.replace(",", delimiter), GOOD.replace(",", delimiter), ""]
    path.write_bytes(ending.join(lines).encode(encoding))
    (row,) = read_customer_file(path).customers
    assert row.profile.name == "Amélie Roux"


@pytest.mark.parametrize("above", ["sep=;", "SEP=;", '"sep=;"', "sep=;;;", "\n\nsep=;"])
def test_line_that_names_the_delimiter_is_read(path: Path, above: str) -> None:
    """Excel writes and reads it. Lines are called as an editor does."""
    path.write_text(f"{above}\nid;name;amount\nc-1;A;1,5\nc 2;;\n")
    file = read_customer_file(path)
    lines_above = above.count("\n") + 1
    assert [(row.line, row.profile.values) for row in file.customers] == [
        (lines_above + 2, {"amount": "1,5"})
    ]
    assert [row.line for row in file.rejected] == [lines_above + 3]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_unicode_text_of_a_spreadsheet_is_read(path: Path, encoding: str) -> None:
    """Tabs, UTF-16, a byte order mark."""
    mark = "" if encoding == "utf-16" else "\ufeff"
    path.write_bytes(f"{mark}id\tname\r\nc-1\tZoë\r\n".encode(encoding))
    (row,) = read_customer_file(path).customers
    assert row.profile.name == "Zoë"


def test_commas_in_a_quoted_name_of_a_column_part_nothing(path: Path) -> None:
    path.write_text('id;"a,b,,c"\nc-1;x\n')
    with pytest.raises(CustomerFileError, match="name of column 2"):
        read_customer_file(path)


def test_empty_columns_and_rows_at_the_end_are_passed_over(path: Path) -> None:
    path.write_text("id,name,,\nc-1,A,,\nc-2,B\nc-3,C,,,,\n,,,\n,\n")
    file = read_customer_file(path)
    assert [(row.customer, row.profile.values) for row in file.customers] == [
        (customer, {}) for customer in ("c-1", "c-2", "c-3")
    ]
    assert not file.rejected


def test_what_keeps_a_spreadsheet_from_reckoning_is_no_part_of_a_cell(path: Path) -> None:
    path.write_text(
        "id,name,phone,zip\n"
        "'17,'t Hooft,'+33639980001,'01234\n"
        '"=""18""",A,"=""+33639980001""","=""01234"""\n'
    )
    file = read_customer_file(path)
    assert [(row.customer, row.profile.phone) for row in file.customers] == [
        ("17", "+33639980001"),
        ("18", "+33639980001"),
    ]
    assert {row.profile.values["zip"] for row in file.customers} == {"01234"}
    assert file.customers[0].profile.name == "'t Hooft"


def test_names_of_columns_may_have_capitals_and_spaces(path: Path) -> None:
    path.write_text(" Customer ID ,E-Mail,Time Zone,Due date\nc-1,a@example.com,Asia/Tokyo,x\n")
    (row,) = read_customer_file(path).customers
    assert (row.customer, row.profile.zone) == ("c-1", "Asia/Tokyo")
    assert row.profile.values == {"due_date": "x"}


def test_empty_cells_are_not_given_and_blank_lines_are_passed_over(path: Path) -> None:
    path.write_text(f"{HEADER}\n\nc-1,,,,,,,\n,,,,,,,\n")
    file = read_customer_file(path)
    assert [row.line for row in file.customers] == [3]
    assert not file.customers[0].profile.model_fields_set - {"values"}
    assert not file.rejected


def test_line_numbers_count_the_lines_inside_quotes(path: Path) -> None:
    """A person looks for the line in an editor, not for the row."""
    path.write_text(
        f'{HEADER}\nc-1,"Two\nlines\u2028",,,,,,\nc-2,,nowhere,,,,,\n', encoding="utf-8"
    )
    file = read_customer_file(path)
    assert [row.line for row in file.rejected] == [4]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("c-1,A,marie@@example.com,,,,,", "email: is not an email address"),
        ("c-1,A,,+44 7700 90,,,,", "phone: is not a telephone number"),
        ("c-1,A,,0612345678,,,,", "phone: is not a telephone number"),
        ("c-1,A,,,,Europe/Pariss,,", "zone: is not an IANA time zone"),
        ("c-1,A,,,France,,,", "country: "),
        ("c-1,A,,,,,french,", "language: "),
        (",A,,,,,,", "the id is missing"),
        ("4.91705E+11,A,,,,,,", "id: is a number that a spreadsheet has shortened"),
        ("c-1,A,,4.91705E+11,DE,,,", "phone: is a number that a spreadsheet has shortened"),
        ('c-1,A,,"4,91705E+11",DE,,,', "phone: is a number that a spreadsheet has shortened"),
        ("c-1,A,,,,,,1E+13", "amount: is a number that a spreadsheet has shortened"),
        ("c-1,A,,,,,,#REF!", "amount: is a mistake of a spreadsheet"),
        ("c-1,#N/A,,,,,,#DIV/0!", "name: is a mistake of a spreadsheet"),
        ("c 1,A,,,,,,", "id: must begin with"),
        ("c-1,A,,,,,,1,284.50", "has 9 fields, and the header names 8"),
        ("c-1,A,", "has 3 fields, and the header names 8"),
    ],
)
def test_wrong_row_is_rejected_with_its_reason(path: Path, row: str, reason: str) -> None:
    assert rejection(path, row).startswith(reason)


@pytest.mark.parametrize(
    "row",
    ["c-1,A,marie.secret@@example.com,,,,,", "c-1,A,,+1 555 73,,,,", "c-1,A,,,,Mars/Secret,,"],
)
def test_reason_says_nothing_of_what_the_row_says(path: Path, row: str) -> None:
    reason = rejection(path, row)
    assert not any(part in reason.lower() for part in ("secret", "marie", "555"))


def test_second_row_of_an_id_is_rejected_and_the_first_stays(path: Path) -> None:
    path.write_text(f"{HEADER}\nc-1,First,,,,,,\nc-1,Second,,,,,,\n")
    file = read_customer_file(path)
    assert [row.profile.name for row in file.customers] == ["First"]
    assert file.rejected[0].reason == "the id is already on line 2"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\xef\xbb\xbf\r\n \r\n", "is empty"),
        (b"PK\x03\x04\x14\x00\x06\x00", "is a spreadsheet or an archive"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "is a spreadsheet or an archive"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "is a binary file"),
        ("id,name\nc-1,A\n".encode("utf-16")[:-1], "is in UTF-16 that ends"),
        (b"sep=x\nidxname\nc-1xA\n", "Commas, semicolons or tabs"),
        (b"id|name\nc-1|A\n", "Commas, semicolons or tabs"),
        (b"id,name,,note\nc-1,A,,x\n", "The name of column 3"),
        ("id,name\nc-1,Amélie\n".encode("latin-1"), "not in UTF-8: line 2"),
        (b"c-1,Tom,tom@example.com\nc-2,Ann,ann@example.com\n", "has no header that Layby knows"),
        (b"Dear all, here is the list that you wanted.\n", "has no header that Layby knows"),
        (b"name,email\nTom,tom@example.com\n", "has no column id"),
        (b"id,E-Mail,email\nc-1,,\n", "has the column email twice"),
        (b"id,100%\nc-1,x\n", "name of column 2"),
        (b"id,E-mail address\nc-1,a@example.org\n", "Column 2 looks like email"),
        (b"id,email,Mobile\nc-1,a@example.org,+33612345678\n", "Column 3 looks like phone"),
        (b'id,name\nc-1,"never closed\nc-2,B\n', "is not a CSV from line 2 on"),
    ],
)
def test_file_that_is_no_customer_list_is_refused_whole(
    path: Path, content: bytes, message: str
) -> None:
    path.write_bytes(content)
    with pytest.raises(CustomerFileError, match=message):
        read_customer_file(path)


def test_file_that_is_not_there_is_told(path: Path) -> None:
    with pytest.raises(CustomerFileError, match="No such file"):
        read_customer_file(path)


def test_list_may_have_a_second_number_as_a_value_beside_the_one_that_counts(path: Path) -> None:
    path.write_text("id,phone,mobile\nc-1,+33123456789,+33612345678\n")
    assert read_customer_file(path).customers[0].profile.values == {"mobile": "+33612345678"}
    assert values_of(["Id", "Phone", "Mobile", "refused_because"]) == ["mobile"]


def test_parts_of_a_file_have_its_first_lines_and_call_rows_as_it_does(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_command, "PART_ROWS", 2)
    path.write_text("sep=;\nid;note\nc-1;x\nc-2;y\n\nc-3;z\n")
    _, parts = read_parts(path, whole=False)
    rows = [list(read_rows(part.csv, part.first_row)) for part in parts]
    assert [[row.line for row in part] for part in rows] == [[3, 4], [6]]
    assert [row.customer for part in rows for row in part] == ["c-1", "c-2", "c-3"]
