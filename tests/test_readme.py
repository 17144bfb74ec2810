"""The README's code runs, from top to bottom, as it stands."""

import re
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

from sklearn_rnn.estimators.tasks import _sequence_task

README = Path(__file__).parents[1] / "README.md"


def test_the_code_in_the_readme_runs(monkeypatch):
    # One epoch each: here the code matters, not how well it forecasts.
    monkeypatch.setattr(_sequence_task, "n_epochs_for", lambda *sizes: 1)
    blocks = re.findall(
        r"^ *```python\n(.*?)^ *```", README.read_text(encoding="utf-8"), re.M | re.S
    )
    assert len(blocks) > 8
    names = {}
    plt.close("all")  # matplotlib warns of more than twenty
    for block in blocks:
        indent = re.match(" *", block)[0]
        code = re.sub(f"^{indent}", "", block, flags=re.M)
        try:
            exec(compile(code, "README.md", "exec"), names)
        except Exception as error:
            pytest.fail(f"{error!r} in this code of the README:\n{code}")
    assert names["tomorrow"]["q0.1"].between(0, 100).all()
    plt.close("all")
