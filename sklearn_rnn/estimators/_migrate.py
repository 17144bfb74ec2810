"""Models that versions 0.4 to 0.6 pickled: their classes, and what is now in tasks."""

import sys
from types import ModuleType, SimpleNamespace

from sklearn_rnn._exceptions import InvalidModelError
from sklearn_rnn.estimators.closed_form import LinearSkip
from sklearn_rnn.estimators.tasks import (
    FrameCorpus,
    NumberSource,
    RegressionTask,
    SequenceTask,
    SharedVectors,
    SymbolCorpus,
    SymbolSource,
    TargetTransform,
)

# Modules that such pickles name, and the classes that these had.
OLD_MODULES: dict[str, list[type]] = {
    "_corpus": [SymbolCorpus, FrameCorpus],
    "_sources": [SymbolSource, NumberSource],
    "_targets": [TargetTransform],
    "_tokens": [SharedVectors],
}
# Parameters of estimators that are new in version 0.7, with what models had before.
BEFORE_0_7 = {
    "linear_skip": False,
    "scale_windows": False,
    "season": None,
    "convolutions": None,
    "bag_of_words": False,
    "categorical_features": None,
    "ngram_order": None,
    "softmax": "full",
    "embedding_dim": 64,
    "upsampling": 1,
    "transition_weight": 0.0,
    "bounds": None,
    "target_weight": None,
    "checkpoint": None,
    "checkpoint_seconds": 30.0,
}
# Where a task has what was an attribute of the estimator.
PATHS = {
    "_torch_dtype": "dtype",
    "_per_step": "per_step",
    "_y_from_array": "y_was_array",
    "_y_is_1d": "numbers.is_1d",
    "_y_shape": "numbers.shape",
    "target_names_": "numbers.names",
    "_subtracts_last": "baseline.subtracts_last",
    "_target_columns": "baseline.columns",
    "_targets": "baseline.transform",
    "_reads_tokens": "tokens.is_used",
    "_tokens": "tokens.symbols",
    "_n_tokens": "tokens.n_tokens",
    "_token_width": "tokens.embedding_dim",
    "classes_": "labels.classes",
    "_weight_of_class": "labels.weights",
    "_corpus": "corpus",
    "symbols_": "symbols",
    "n_symbols_": "n_symbols",
    "_source": "source",
    "_target": "target",
    "source_symbols_": "source_symbols",
    "target_symbols_": "target_symbols",
    "_longest_written": "longest_written",
    "_written_per_read": "written_per_read",
    "_written": "written",
    "_written_times": "weights_of_written",
}
NEW_SPEC_NAMES = {"tied": "tie_embeddings", "reads": "source"}


def register_old_modules(package):
    """Let pickles find classes in the modules that had them."""
    for name, classes in OLD_MODULES.items():
        module = ModuleType(f"{package}.{name}")
        for new in classes:
            setattr(module, new.__name__, _stand_in(new))
        sys.modules[module.__name__] = module


def _stand_in(new):
    """Return a class that makes another one's objects, as pickles of tuples ask it."""

    def make(cls, *values):
        return new(*values) if values else object.__new__(new)

    return type(new.__name__, (), {"__new__": make})


def migrate(estimator, state):
    """Return the state of a fitted model of versions 0.4 to 0.6, with its task."""
    state = state | missing_params(estimator, state)
    names = estimator._get_param_names()
    if not {*names, "_network_spec"} <= state.keys():
        raise InvalidModelError(
            f"this {type(estimator).__name__} was pickled by a version before 0.4. "
            "Fit it again, or load it with the version that wrote it."
        )
    params = {name: state[name] for name in names}
    params |= state.pop("_read_with", {})
    if "_fitted_loss" in state:  # parameters may have been set since
        params["loss"] = state.pop("_fitted_loss")
        levels = state.pop("_levels", None)
        params["quantiles"] = params["quantiles"] if levels is None else levels
    task = estimator._task_type(type(estimator).__name__, SimpleNamespace(**params))
    for old, path in PATHS.items():
        if old in state:
            holder, _, name = path.rpartition(".")
            setattr(getattr(task, holder) if holder else task, name, state.pop(old))
    task.network_spec = _migrate_spec(state.pop("_network_spec"))
    if isinstance(task, SequenceTask):
        task.categories.categories = {}
        task.batch_size = params["batch_size"]
    if isinstance(task, RegressionTask):
        task.numbers.per_step = task.baseline.per_step = task.per_step
        task.linear = LinearSkip(task.n_targets, task.output)
        spec = task.network_spec
        task.chosen_cell, task.chosen_size = spec.cell, spec.hidden_size
    return state | {"_task": task}


def missing_params(estimator, state):
    """Return the parameters that a pickle lacks, which version 0.7 has."""
    names = estimator._get_param_names()
    return {k: v for k, v in BEFORE_0_7.items() if k in names and k not in state}


def _migrate_spec(spec):
    """Return a network's spec whose fields have their new names."""
    old = vars(spec)
    fields = {NEW_SPEC_NAMES.get(name, name): value for name, value in old.items()}
    return type(spec)(**fields)
