"""Loading of examples, and what tests ask of their pictures."""

import importlib.util
from pathlib import Path

import numpy as np
from PIL import Image

EXAMPLES = Path(__file__).parents[2] / "examples"


def load(name):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def assert_is_picture(path):
    pixels = np.asarray(Image.open(path).convert("L"))
    assert pixels.shape[1] >= 400
    assert pixels.std() > 10  # something is drawn on it
