"""Saving and loading models without pickles.

`save_model` and `load_model` are for models that others gave you: tensors and JSON, no
code. `TRUSTED_TYPES` is what ``skops.io.load`` and MLflow need trust to load everything
that this package fits. Both need the extra ``persist``. `migrate_model` writes files of
older versions in the present format. `to_onnx` writes a model for programs that do not
have this package, and needs the extra ``onnx``.
"""

from sklearn_rnn.persistence._files import load_model, save_model
from sklearn_rnn.persistence._migrate import migrate_model
from sklearn_rnn.persistence._onnx import to_onnx
from sklearn_rnn.persistence._types import TRUSTED_TYPES

__all__ = ["TRUSTED_TYPES", "load_model", "migrate_model", "save_model", "to_onnx"]
