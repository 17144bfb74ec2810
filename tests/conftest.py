import gc
import os

import pytest

# Pictures in tests and doctests open no window.
os.environ["MPLBACKEND"] = "Agg"
# shap's loops would be compiled for longer than they run.
os.environ["NUMBA_DISABLE_JIT"] = "1"
if "PYTEST_XDIST_WORKER" in os.environ:
    # Workers side by side would fight over the cores with their threads.
    os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """Collect thousands of tests without looking for garbage among them."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


@pytest.hookimpl(tryfirst=True)  # before -m selects
def pytest_collection_modifyitems(items):
    """Mark what is neither slow nor thorough as fast."""
    for item in items:
        if not {"slow", "thorough"} & {mark.name for mark in item.iter_markers()}:
            item.add_marker("fast")
