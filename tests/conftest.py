import os

# Pictures in tests and doctests open no window.
os.environ["MPLBACKEND"] = "Agg"
if "PYTEST_XDIST_WORKER" in os.environ:
    # Workers side by side would fight over the cores with their threads.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
