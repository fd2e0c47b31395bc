"""Tables and their places."""

from harness import table


def test_a_report_is_put_in_its_place() -> None:
    page = "# Page\n<!-- results -->\nold\n<!-- end of results -->\nend\n"
    placed = table.place("| new |\n", page)
    assert placed == "# Page\n<!-- results -->\n\n| new |\n\n<!-- end of results -->\nend\n"
    assert table.place("| new |\n", "old") == "| new |\n"


def test_what_a_cell_may_not_hold_is_escaped() -> None:
    assert table.row(["a | b", "two\nlines"]) == r"| a \| b | two lines |"
