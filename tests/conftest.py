import os

# Pictures in tests and doctests open no window.
os.environ["MPLBACKEND"] = "Agg"
