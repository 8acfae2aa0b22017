"""Every row of the table of faults that a promise rests on has a test that is named after it."""

import ast
import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
ROWS = (
    *(f"u{number}" for number in range(1, 22)),  # upstream
    *(f"c{number}" for number in range(1, 22)),  # clients
    *(
        f"p{number}" for number in (*range(1, 6), *range(8, 12))
    ),  # the process; P6 and P7 are of several replicas
)
_NAMED = re.compile(r"test_((?:[ucp]\d+_)+)")  # a name may speak for several rows: test_u13_u14_…


def rows_of(name: str) -> set[str]:
    """The rows that a test's name begins with."""
    match = _NAMED.match(name)
    return set(match[1].rstrip("_").split("_")) if match else set()


def names_in(source: str) -> set[str]:
    """The names of the test functions of a module."""
    return {
        node.name
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    }


def test_every_row_has_a_test_of_its_name() -> None:
    names = [
        name
        for path in sorted(TESTS.rglob("test_*.py"))
        for name in names_in(path.read_text(encoding="utf-8"))
    ]
    assert len(names) > 500, "the tests are not where they are looked for"

    covered = {row for name in names for row in rows_of(name)}

    missing = [row.upper() for row in ROWS if row not in covered]
    assert missing == [], f"no test is named after {', '.join(missing)}"


def test_a_name_speaks_for_the_rows_it_begins_with() -> None:
    assert rows_of("test_u1_refused") == {"u1"}
    assert rows_of("test_u13_u14_unreadable") == {"u13", "u14"}
    assert rows_of("test_u1") == rows_of("test_as_in_u1_too") == rows_of("test_under_u1_x") == set()
