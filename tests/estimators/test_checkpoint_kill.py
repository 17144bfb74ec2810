"""Processes that are killed at random moments lose nothing.

    python -m pytest -m slow -s tests/estimators/test_checkpoint_kill.py

prints a line of figures per estimator.
"""

import sys

import pytest
from interrupted_fits import ESTIMATORS
from killed_fits import kill_and_finish

from sklearn_rnn.kernels import compiled_kernels_available

KERNELS = ["torch", *["compiled"] * compiled_kernels_available()]
KILLS = 5


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("name", [*ESTIMATORS, "stream"])
def test_killed_fits_end_bit_for_bit_as_others(name, kernel, tmp_path):
    expected, found, figures = kill_and_finish(name, kernel, tmp_path, KILLS, seed=0)
    print(f"{name}, {kernel}: {len(found)} fits, {dict(figures)}")
    assert figures["kills"] >= KILLS
    assert figures["files left"] == 0
    assert {fit["state"] for fit in found} == {expected["state"]}
    assert figures["continued"] > 0
