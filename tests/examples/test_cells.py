"""Scripts are in percent cells, which editors and jupytext open as notebooks."""

import ast
import re
import sys

import pytest
from example_scripts import EXAMPLES

SCRIPTS = sorted(path.stem for path in EXAMPLES.glob("*.py"))


def cells_of(name):
    """Return pairs of whether a cell is Markdown, and its source."""
    source = (EXAMPLES / f"{name}.py").read_text(encoding="utf-8")
    before, *parts = re.split(r"^# %%", source, flags=re.MULTILINE)
    assert before == ""
    return [
        (header == " [markdown]", body)
        for header, _, body in (part.partition("\n") for part in parts)
    ]


def run_cells(cells, monkeypatch):
    """Run code cells as a kernel of Jupyter does: no file, and its own arguments."""
    monkeypatch.setattr(sys, "argv", ["ipykernel_launcher.py", "-f", "kernel.json"])
    names = {"__name__": "__main__", "__doc__": "Made by Jupyter.\nNothing else."}
    for is_markdown, source in cells:
        if not is_markdown:
            exec(source, names)
    return names


@pytest.mark.parametrize("name", SCRIPTS)
def test_each_script_opens_as_a_notebook(name):
    (first_is_markdown, introduction), *rest = cells_of(name)
    assert first_is_markdown
    assert ast.get_docstring(ast.parse(introduction))
    assert sum(is_markdown for is_markdown, _ in rest) >= 2
    for is_markdown, source in rest:
        parsed = ast.parse(source)  # each cell is complete by itself
        assert is_markdown != bool(parsed.body)
    assert 'if __name__ == "__main__":' in rest[-1][1]


def test_a_script_runs_cell_by_cell_in_a_notebook(monkeypatch, capsys):
    names = run_cells(cells_of("beginners_script"), monkeypatch)
    assert "validation R2" in capsys.readouterr().out
    assert "make_data" in names


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("chorale_harmonisation", "load_bach_chorales('test').target"),
        ("melody_generator", "load_chorales('test')"),
        ("price_forecast", "load_table()"),
    ],
)
def test_cells_find_the_data_beside_their_file(name, call, monkeypatch):
    monkeypatch.chdir(EXAMPLES)  # where Jupyter starts the kernel
    names = run_cells(cells_of(name)[:-1], monkeypatch)
    assert len(eval(call, names)) > 30
