"""Metadata of people, from tables that people write by hand."""

from pathlib import Path

import pandas as pd
import pytest

from pipeline.errors import ManifestError
from pipeline.manifest.csv_rows import read_rows
from pipeline.manifest.identities import read_identities
from pipeline.manifest.schema import Traits
from tests.pipeline.manifest.conftest import Build


def written(tmp_path: Path, text: str | bytes) -> Path:
    path = tmp_path / "people.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def read(tmp_path: Path, text: str | bytes, **columns: str) -> dict[str, Traits]:
    return read_identities(written(tmp_path, text), columns)


def test_traits_are_read_and_empty_values_are_unknown(tmp_path: Path) -> None:
    people = read(tmp_path, "identity,gender,nationality,age,language\nann,f,NA,31.5,en\nbob,,,,\n")
    assert people == {"ann": Traits("f", "NA", 31.5, "en"), "bob": Traits()}


@pytest.mark.parametrize(
    ("word", "gender"), [("f", "f"), ("F", "f"), ("Female", "f"), ("m", "m"), ("MALE", "m"), (" m ", "m")]
)
def test_gender_is_read_in_its_usual_spellings(tmp_path: Path, word: str, gender: str) -> None:
    assert read(tmp_path, f"identity,gender\nann,{word}\n")["ann"].gender == gender


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("start", ["", "\ufeff"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_tables_of_every_spreadsheet_are_read(tmp_path: Path, separator: str, start: str, end: str) -> None:
    lines = [separator.join(line) for line in (["identity", "nationality"], ["zoë", '"Côte d\'Ivoire"'])]
    assert read(tmp_path, start + end.join([*lines, "", ""])) == {"zoë": Traits(nationality="Côte d'Ivoire")}


@pytest.mark.parametrize(
    "text",
    [
        "identity,gender,,,\nann,f,,,\nbob,m,,,\n,,,,\n",  # Excel, where cells beside the table were once filled
        "identity,gender\nann,f,,\nbob,m\n",
        "sep=;\nidentity;gender\nann;f\nbob;m\n",
        'sep=,\n"identity","gender"\nann,f\nbob,m\n',
        "sep=\t\r\nidentity\tgender\r\nann\tf\r\nbob\tm\r\n",
        "sep=|\nidentity|gender\nann|f\nbob|m\n",
        "SEP=;\nidentity;gender\nann;f\nbob;m\n",
        '# people\n\n#"more\n"Sep=;"\nidentity;gender\nann;f\nbob;m\n',
        'identity,gender\n#was,"x\nann,f\n# of "old\nbob,m\n#"',
        '#",\n#identity\nidentity,gender\r\n#was,"x\r\nann,f\r\nbob,m\r\n',
        ",identity,gender\n0,ann,f\n1,bob,m\n",  # pandas, with its index
        "# who is who; by hand\nidentity,gender\nann,f\n# bob, later\nbob,m\n",
    ],
)
def test_what_spreadsheets_and_people_leave_in_tables_is_no_harm(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, text) == {"ann": Traits("f"), "bob": Traits("m")}


def test_comment_lines_are_counted_and_numbers_stay_those_of_the_file(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(ManifestError, match=r"line 5: gender 'x'"):
        read(tmp_path, "sep=;\n# people\nidentity;gender\nann;f\nbob;x\n")
    assert "people.csv: 1 line(s) that begin with # are comments, first: line 2" in caplog.text
    assert read(tmp_path, 'identity,gender\n"#1",f\n') == {"#1": Traits("f")}


def test_value_beside_the_table_is_a_line_that_does_not_fit(tmp_path: Path) -> None:
    """As where a comma in a value was not quoted."""
    with pytest.raises(ManifestError, match=r"line 3: 4 values for 2 columns"):
        read(tmp_path, "identity,nationality,,\nann,Kent,,\nbob,Trinidad, Tobago,x\n")


def test_columns_of_other_names_are_renamed_and_others_dropped(tmp_path: Path) -> None:
    people = read(tmp_path, "person,region,shoe size\nann,Kent,39\n", identity="person", nationality="region")
    assert people == {"ann": Traits(nationality="Kent")}


def test_an_identity_twice_with_the_same_values_is_one(tmp_path: Path) -> None:
    assert read(tmp_path, "identity,gender\nann,f\nann,female\n") == {"ann": Traits("f")}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("identity,gender\nann,f\n\nann,m\n", r"people\.csv line 4: identity 'ann' again, .* line 2"),
        ("identity,gender\nann,x\n", r"line 2: gender 'x' is none of f, m"),
        ("identity,age\nann,old\n", r"line 2: age 'old' is not a number"),
        ("identity,age\nann,nan\n", r"line 2: age 'nan' is not a number"),
        ("identity,age\nann,-3\n", r"line 2: age '-3' is not a number"),
        ("identity,age\n,3\n", r"line 2: no identity"),
        ("identity,age\nann,3,4\nbob\n", r"\(2\):\n.*line 2: 3 values for 2 columns\n.*line 3: 1 values"),
        ("identity,age,age\nann,3,4\n", r"named twice"),
        ('identity,age\n"ann,3\n', r"line 2 is no table line"),
        ('# "people\nidentity,age\nann,3\n#"\n"bob,3\ncy,3\n', r"line 5 is no table line"),
        ('identity,age\n#was,"x\nann,old\n', r"line 3: age 'old' is not a number"),
        ("name,age\nann,3\n", r"no column 'identity' \(it has name, age\)"),
        ('identity,nationality\nann,"Uni\nted"\n', r"control character"),
        ("", r"is empty"),
        (b"identity,nationality\nann,C\xf4te\n", r"is not UTF-8 \(byte 26\)"),
        (b"\xff\xfei\0d\0", r"is not UTF-8"),
        (b"identity,age\nann\0,3\n", r"people\.csv"),
    ],
)
def test_unreadable_metadata_name_their_line(tmp_path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(ManifestError, match=message):
        read(tmp_path, text)


def test_a_line_of_a_quoted_value_is_no_comment(tmp_path: Path) -> None:
    table = read_rows(written(tmp_path, 'identity,note\nann,"one\n#two"\n#three "\nbob,x\n'), "identities")
    assert [dict(row.values) for row in table.rows] == [
        {"identity": "ann", "note": "one\n#two"},
        {"identity": "bob", "note": "x"},
    ]
    assert [row.source for row in table.rows] == ["people.csv line 2", "people.csv line 5"] and table.comments == (4,)


def test_only_the_first_problems_are_written_out(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"\(25\)") as raised:
        read(tmp_path, "identity,gender\n" + "".join(f"p{i},x\n" for i in range(25)))
    assert str(raised.value).count("gender 'x'") == 10 and "... and 15 more" in str(raised.value)


def test_an_absent_table_names_the_key(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"nowhere\.csv cannot be read .*mend manifest\.identities"):
        read_identities(tmp_path / "nowhere.csv", {})


def test_metadata_reach_every_item_of_their_identity(build: Build) -> None:
    manifest = build(
        identities="identity,gender,region,age,language\nann,female,Kent,30,en\n", columns={"nationality": "region"}
    )
    ann, bob = manifest[manifest["identity"] == "ann"], manifest[manifest["identity"] == "bob"]
    assert ann[["gender", "nationality", "age", "language"]].drop_duplicates().to_numpy().tolist() == [
        ["f", "Kent", 30.0, "en"]
    ]
    assert bob[["gender", "nationality", "age", "language"]].isna().all(axis=None)


def test_people_without_media_are_a_warning(build: Build, caplog: pytest.LogCaptureFixture) -> None:
    build(identities="identity,age\nann,30\ncarl,40\ndora,50\n")
    assert "2 identities of the metadata have no media, first: carl, dora" in caplog.text


def test_people_without_metadata_are_a_warning(build: Build, caplog: pytest.LogCaptureFixture) -> None:
    build(identities="identity,age\nAnn,30\n")
    assert "2 identities have no metadata, first: ann, bob" in caplog.text
    caplog.clear()
    build(identities="identity,age\n")  # a table without people says nothing of anybody, and need not
    assert "metadata" not in caplog.text


def test_a_rename_to_a_column_that_is_not_there_is_refused(build: Build) -> None:
    with pytest.raises(ManifestError, match=r"not in .*identities\.csv \(1\):\n  nationality: 'region'"):
        build(identities="identity,nationality\nann,x\n", columns={"nationality": "region"})


def test_a_rename_of_something_that_is_not_ours_is_refused(build: Build) -> None:
    with pytest.raises(ManifestError, match=r"height: no such name; it must be one of path, identity"):
        build(columns={"height": "cm"})


def test_renames_rest_where_there_are_no_metadata(build: Build) -> None:
    assert pd.isna(build(identities="identity,nationality\n", columns={"nationality": "region"})["nationality"]).all()
