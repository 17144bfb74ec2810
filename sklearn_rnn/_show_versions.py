"""What a report of a problem should tell of the system."""

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version

import torch

from sklearn_rnn.kernels import (
    instruction_set,
    instruction_sets,
    library,
    library_compiler,
    library_error,
)

DEPENDENCIES = (
    *("pip", "numpy", "scipy", "pandas", "scikit-learn", "skorch", "torch"),
    *("joblib", "threadpoolctl", "matplotlib", "tokenizers", "sacrebleu", "soundfile"),
    *("safetensors", "skops", "onnx", "onnxruntime", "onnxscript", "mlflow"),
    *("holidays", "shap", "distributed", "ray"),
)


def show_versions():
    """Print the versions and the compiled kernels, for reports of problems.

    The system, Python and the packages that are used; whether the compiled kernels are
    there and which instruction set they use, or why they are not; and threads.

    Examples
    --------
    >>> import sklearn_rnn
    >>> sklearn_rnn.show_versions()  # doctest: +ELLIPSIS
    <BLANKLINE>
    System:
    ...
    """
    # Imported when called: the package has to be complete.
    own = {"sklearn_rnn": sys.modules[__package__].__version__}
    _print_section("System", _describe_system())
    _print_section("Python dependencies", own | _find_versions())
    _print_section("Compiled kernels", _describe_kernels())
    _print_section("Threads", _describe_threads())


def _print_section(title, values):
    print(f"\n{title}:")
    by = max(map(len, values))
    for name, value in values.items():
        print(f"{name:>{by}}: {value}")


def _describe_system():
    return {
        "python": sys.version.replace("\n", " "),
        "executable": sys.executable,
        "machine": platform.platform(),
    }


def _find_versions():
    versions: dict[str, str | None] = {}
    for name in DEPENDENCIES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = None
    return versions


def _describe_kernels():
    try:
        found = library()
    except ValueError as error:  # of the environment variable
        return {"available": False, "reason": str(error)}
    if found is None:
        return {"available": False, "reason": library_error()}
    return {
        "available": True,
        "library": found._name,
        "instruction set": instruction_set(),
        "usable here": ", ".join(instruction_sets()),
        "compiler": library_compiler(),
    }


def _describe_threads():
    return {
        "processors": os.cpu_count(),
        "torch": torch.get_num_threads(),
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS"),
    }
