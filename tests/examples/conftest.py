import pytest
from matplotlib import pyplot as plt
from threadpoolctl import threadpool_limits


@pytest.fixture(autouse=True)
def calm(tmp_path, monkeypatch):
    """Run in an empty folder, without threads that fight over shared cores."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # for processes that a test starts
    with threadpool_limits(1):
        yield
    plt.close("all")
