"""Notebooks run, and are stored with the outputs of a run."""

import json
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

EXAMPLES = Path(__file__).parents[2] / "examples"
# Of each notebook its pictures, and what must hold at its end.
NOTEBOOKS = {
    "drum_sounds": (1, "accuracy_score(drums.target, predicted) > 0.5"),
    "sentiment": (1, "model.score(test['text'], test['sign']) > 0.7"),
    "speaker_classification": (2, "model.score(X_test, y_test) > 0.95"),
    "temperature_forecast": (
        3,
        "errors['RNNRegressor'] < errors['trees'] < errors['last value']",
    ),
}


def read(name):
    return nbformat.read(EXAMPLES / f"{name}.ipynb", as_version=4)


def outputs_of(notebook):
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return [output for cell in cells for output in cell.outputs]


def count_pictures(notebook):
    return sum("image/png" in o.get("data", {}) for o in outputs_of(notebook))


def test_every_notebook_is_tested():
    assert {path.stem for path in EXAMPLES.glob("*.ipynb")} == set(NOTEBOOKS)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_notebooks_are_stored_with_clean_outputs(name):
    assert (EXAMPLES / f"{name}.ipynb").stat().st_size < 300_000
    notebook = read(name)
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "python3"
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert count_pictures(notebook) == NOTEBOOKS[name][0]
    streams = [o.name for o in outputs_of(notebook) if o.output_type == "stream"]
    assert set(streams) <= {"stdout"}
    text = json.dumps(notebook)
    for trace in ("site-packages", "/home/", "/tmp/", "Traceback"):
        assert trace not in text


@pytest.mark.slow
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_runs_and_finds_what_it_says(name, tmp_path, monkeypatch):
    monkeypatch.delenv("MPLBACKEND", raising=False)  # the kernel has its own
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    n_pictures, claim = NOTEBOOKS[name]
    notebook = read(name)
    notebook.cells.append(nbformat.v4.new_code_cell(f"assert {claim}"))
    folder = {"metadata": {"path": str(tmp_path)}}
    client = NotebookClient(
        notebook, timeout=600, kernel_name="python3", resources=folder
    )
    client.execute()
    assert count_pictures(notebook) == n_pictures
