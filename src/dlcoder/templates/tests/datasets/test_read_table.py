"""Tests of tables of text and numbers."""

from pathlib import Path

import pytest
import torch

from dlcoder.templates.components.datasets.read_table import Table, moments

TABLE = "age,income,kind\n30,1000,old\n50,3000,new\n40,2000,old\n"


def write(folder: Path, text: str = TABLE) -> Path:
    path = folder / "table.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_columns_come_as_text_or_as_numbers(tmp_path: Path) -> None:
    table = Table(write(tmp_path))
    assert table.names == ["age", "income", "kind"]
    assert table.texts("kind") == ["old", "new", "old"]
    numbers = table.numbers(["income", "age"])
    assert numbers.dtype == torch.float64
    assert numbers.tolist() == [[1000, 30], [3000, 50], [2000, 40]]


def test_a_byte_order_mark_and_blank_lines_do_not_matter(tmp_path: Path) -> None:
    marked = "\ufeff" + TABLE.replace("\n", "\r\n\r\n")
    table = Table(write(tmp_path, marked))
    assert table.names[0] == "age"
    assert table.texts("age") == ["30", "50", "40"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (TABLE.replace("3000", "nan"), r"line 3: income is 'nan'"),
        (TABLE.replace("3000", ""), r"line 3: income is ''"),
        (TABLE.replace("1000", "much"), r"line 2: income is 'much'"),
        (TABLE.replace(",old\n5", "\n5"), r"line 2 has 2 cells, and the header 3"),
        (TABLE.replace("income", "age"), r"several columns named 'age'"),
        (TABLE.replace("income", "cost"), r"no column 'income'; it has age, cost"),
        ("age,income\n", r"no rows"),
        ("", r"no columns"),
    ],
)
def test_a_bad_table_is_an_error_with_its_place(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Table(write(tmp_path, text)).numbers(["income"])


def test_a_constant_column_is_divided_by_one() -> None:
    mean, std = moments(torch.tensor([[1.0, 7.0], [3.0, 7.0]], dtype=torch.float64))
    assert mean.tolist() == [2, 7]
    assert std.tolist() == [1, 1]
