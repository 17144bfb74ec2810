"""Public calls leave the process as they found it."""

import copy
import json
import os
import random
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from process_state import changed_by
from public_calls import CALLS, ESTIMATORS, make

HERE = Path(__file__).parent

SMALL_DATA = pytest.mark.filterwarnings("ignore::sklearn_rnn.SklearnRNNWarning")


@SMALL_DATA
@pytest.mark.thorough
@pytest.mark.parametrize("name", CALLS)
def test_a_call_leaves_the_process_as_it_was(name):
    assert changed_by(CALLS[name]) == []


@pytest.mark.thorough
def test_the_first_calls_of_a_process_leave_it_as_it_was_and_are_all_there_are():
    command = [sys.executable, str(HERE / "public_calls.py")]
    found = json.loads(subprocess.check_output(command, text=True))
    assert {name for name, changed in found["changes"].items() if changed} == set()
    assert found["missing"] == []


IMPORT = """
import sys
sys.path.insert(0, {folder!r})
import numpy, pandas, sklearn, skorch, torch  # these are what they are
from process_state import state_of_process
before = state_of_process()
import sklearn_rnn
print([name for name, value in state_of_process().items() if value != before[name]])
"""


@pytest.mark.thorough
def test_importing_the_package_leaves_the_process_as_it_was():
    command = [sys.executable, "-c", IMPORT.format(folder=str(HERE))]
    assert subprocess.check_output(command, text=True).strip() == "[]"


CHANGES = {
    "random state of NumPy": lambda: np.random.rand(),  # noqa: NPY002
    "random state of Python": random.random,
    "random state of torch": lambda: torch.rand(1),
    "threads of torch": lambda: torch.set_num_threads(torch.get_num_threads() + 1),
    "warnings filters": lambda: warnings.simplefilter("ignore"),
    "current directory": lambda: os.chdir("/"),
    "environment": lambda: os.environ.update(SKLEARN_RNN_TEST="1"),
    "options of pandas": lambda: pd.set_option("display.width", 7),
    "options of NumPy": lambda: np.seterr(divide="raise"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_seen(name, monkeypatch):
    kept = copy.deepcopy(pd.options.d), np.geterr(), torch.get_num_threads()
    monkeypatch.chdir(os.getcwd())
    monkeypatch.setenv("SKLEARN_RNN_TEST", "0")
    with warnings.catch_warnings():
        assert changed_by(CHANGES[name]) == [name]
    pd.set_option("display.width", kept[0]["display"]["width"])
    np.seterr(**kept[1])
    torch.set_num_threads(kept[2])


@SMALL_DATA
@pytest.mark.thorough
@pytest.mark.parametrize("name", ESTIMATORS)
def test_a_fit_without_a_seed_reads_no_global_state(name):
    def fit():
        model, data = make(name)
        model.set_params(random_state=None).fit(*data)

    assert changed_by(fit) == []
