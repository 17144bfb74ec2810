"""The tests that the guide's list of guarantees names exist."""

import ast
import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
PAGE = TESTS.parent / "examples" / "guide" / "guarantees.md"
ROWS = re.findall(r"^\| (?!you can|---)(.*) \| (.*) \|$", PAGE.read_text("utf-8"), re.M)


def names_of_tests(path):
    """Return the names of the tests of a file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    return [name for name in names if name.startswith("test_")]


def test_there_are_guarantees():
    assert len(ROWS) >= 20


@pytest.mark.parametrize(("promise", "test"), ROWS, ids=[test for _, test in ROWS])
def test_a_guarantee_names_a_test_that_exists(promise, test):
    named = re.fullmatch(r"`([\w/]+\.py)(?:::(\w+))?`", test)
    assert named, promise
    path, name = named.groups()
    found = names_of_tests(TESTS / path)
    assert found
    assert name is None or name in found
