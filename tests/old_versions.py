"""Marks of tests of what older versions of dependencies do otherwise."""

import pandas as pd
import pytest
import sklearn
import torch
from sklearn.utils.fixes import parse_version


def _needs(package, version):
    is_old = parse_version(package.__version__) < parse_version(version)
    return pytest.mark.skipif(is_old, reason=f"needs {package.__name__} {version}")


needs_pandas_3 = _needs(pd, "3.0")
needs_sklearn_1_8 = _needs(sklearn, "1.8")
needs_torch_2_13 = _needs(torch, "2.13")
