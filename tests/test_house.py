"""The plan of the house: floors, doors, docstrings, examples in docstrings."""

import ast
import doctest
import importlib
import inspect
import pickle
import pkgutil
import re
import tomllib
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
from measure_house import (
    ESTIMATORS,
    LIMITS,
    METHODS,
    WALK_LIMITS,
    WALKS,
    measure,
    methods_of,
    python_files,
)
from numpydoc.docscrape import NumpyDocString
from numpydoc.validate import validate

import sklearn_rnn
from sklearn_rnn.kernels import compiled_kernels_available

ROOT = Path(sklearn_rnn.__file__).parent
TESTS = Path(__file__).parent
# Folders of which users import.
PUBLIC_FOLDERS = ["datasets", "metrics", "persistence"]
# From the top down; a file imports only from lower floors or its own folder.
FLOORS = [
    {"__init__"},
    {"export", "persistence", "_show_versions"},
    {"forecasting", "audio"},
    {"displays"},
    {"model_selection"},
    {"estimators"},
    {"training"},
    {"preprocessing", "modules"},
    {"sequences", "kernels", "metrics", "datasets"},
    {"_moved"},
    {"_plain_files", "_fingerprint"},
    {"_plain_state", "_plain_tree"},
    {"_html", "_logging", "_plain_values", "_version", "_exceptions"},
]
# Wings, which only the door to everything and what is above them may import.
WINGS = {"forecasting", "audio"}
MODULES = [
    "sklearn_rnn",
    *(m.name for m in pkgutil.walk_packages(sklearn_rnn.__path__, "sklearn_rnn.")),
]
PUBLIC = [
    "AttentionDisplay",
    "CalendarFeatures",
    "ConformalCalibrator",
    "DivergenceError",
    "ForecastAnomalyDetector",
    "ForecastDisplay",
    "GradientFlowDisplay",
    "HiddenStateDisplay",
    "ImportanceDisplay",
    "InconsistentVersionWarning",
    "InvalidModelError",
    "InvalidSequenceError",
    "LogMelSpectrogram",
    "LossCurveDisplay",
    "PosteriorDisplay",
    "RNNClassifier",
    "RNNGenerator",
    "RNNRegressor",
    "RNNSeq2Seq",
    "RNNTagger",
    "RNNTranscriber",
    "Sampling",
    "SequenceArray",
    "SequenceFlattener",
    "SequenceLayoutWarning",
    "SequenceScaler",
    "SequenceTokenizer",
    "SequenceWindower",
    "SklearnRNNError",
    "SklearnRNNWarning",
    "SpectrogramDisplay",
    "StatefulPredictor",
    "StopTraining",
    "TargetWarning",
    "TimeBlockSplit",
    "WindowHistoryWarning",
    "WordFeatures",
    "backtest",
    "data_parallel",
    "datasets",
    "fill_gaps",
    "forecast",
    "join_windows",
    "make_forecast_frame",
    "make_step_scorer",
    "make_windows",
    "metrics",
    "persistence",
    "score_forecasts",
    "sequence_importance",
    "show_versions",
]
# numpydoc's checks that this project keeps. Left out: sections in which it has
# nothing to say (SA01 See Also, ES01 Extended Summary), and those about style
# that ruff or taste decide.
NUMPYDOC_CHECKS = {
    "GL03", "GL06", "GL07", "GL08", "GL09", "SS01", "SS02", "SS03", "SS04", "SS06",
    "PR01", "PR02", "PR03", "PR04", "PR07", "RT01", "RT03", "YD01", "EX01",
}  # fmt: skip


def floor_of(path):
    part = path.relative_to(ROOT).parts[0].removesuffix(".py")
    return next(i for i, floor in enumerate(FLOORS) if part in floor), part


def imports_of(path, tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node, node.module
        elif isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)


def own_imports():
    """Yield (importing path, imported path) for every import inside the house."""
    for path, _, tree in python_files():
        for _, module in imports_of(path, tree):
            if module.split(".")[0] == "sklearn_rnn":
                if path == ROOT / "__init__.py" and module == "sklearn_rnn":
                    module = "sklearn_rnn.datasets"  # it shows these folders whole
                target = ROOT.joinpath(*module.split(".")[1:])
                target = target / "__init__" if target.is_dir() else target
                yield path, target.with_suffix(".py")


# Inside of estimators/, from the top down.
ESTIMATOR_FLOORS = ["", "tasks", "closed_form"]


def test_estimators_import_downwards():
    for path, target in own_imports():
        floors = [
            ESTIMATOR_FLOORS.index(parts[1] if len(parts) > 2 else "")
            for parts in (p.relative_to(ROOT).parts for p in (path, target))
            if parts[0] == "estimators"
        ]
        if len(floors) == 2:
            importing, imported = floors
            assert importing <= imported, f"{path} imports {target}"
            is_private = target.name.startswith("_") and target.stem != "__init__"
            assert importing == imported or not is_private, f"{path}: {target}"


def test_imports_run_downwards_only():
    for path, target in own_imports():
        (here, folder), (there, below) = floor_of(path), floor_of(target)
        assert folder == below or here < there, f"{path} imports {target}"


def test_no_floor_below_the_wings_imports_them():
    below_the_wings = next(i for i, floor in enumerate(FLOORS) if floor & WINGS)
    for path, target in own_imports():
        (here, folder), (_, below) = floor_of(path), floor_of(target)
        is_inside = folder == below
        assert below not in WINGS or is_inside or here < below_the_wings, path


def test_what_moved_is_found_in_its_old_place_with_a_warning():
    by_old_folder = {
        "sklearn_rnn.displays": ["ForecastDisplay", "SpectrogramDisplay"],
        "sklearn_rnn.preprocessing": ["CalendarFeatures", "LogMelSpectrogram"],
    }
    for folder, names in by_old_folder.items():
        module = importlib.import_module(folder)
        for name in names:
            with pytest.warns(FutureWarning, match=f"use sklearn_rnn.{name}"):
                assert getattr(module, name) is getattr(sklearn_rnn, name)
        with pytest.raises(AttributeError, match="no attribute 'Unknown'"):
            _ = module.Unknown


@pytest.mark.parametrize(
    "path",
    [
        "displays._forecast.ForecastDisplay",
        "preprocessing._augmentation.ClipVariation",
        "preprocessing._calendar.CalendarFeatures",
        "preprocessing._history.History",
        "preprocessing._log_mel.LogMelSpectrogram",
        "preprocessing._mel.MelSettings",
    ],
)
def test_pickles_of_version_0_6_find_classes_that_moved(path):
    module, name = path.rsplit(".", 1)
    pickled = f"csklearn_rnn.{module}\n{name}\n.".encode()
    assert isinstance(pickle.loads(pickled), type)


def test_folders_import_from_the_doors_of_others():
    for path, target in own_imports():
        (_, folder), (_, below) = floor_of(path), floor_of(target)
        is_inside = target.parent != ROOT and target.name != "__init__.py"
        if is_inside and folder != below:
            raise AssertionError(f"{path} imports {target}, and not its folder")


def test_imports_have_no_cycle():
    graph = {}
    for path, target in own_imports():
        # A door (__init__) imports its own rooms; rooms do not use their own door.
        assert not (target.name == "__init__.py" and target.parent == path.parent), path
        graph.setdefault(path, set()).add(target)
    done, under_way = set(), []

    def visit(path):
        assert path not in under_way, f"cycle: {[*under_way, path]}"
        if path not in done:
            under_way.append(path)
            for target in graph.get(path, ()):
                visit(target)
            done.add(under_way.pop())

    for path in graph:
        visit(path)


def test_functions_import_only_optional_packages():
    optional = {
        "holidays",
        "matplotlib",
        "onnx",
        "pyarrow",
        "sacrebleu",
        "safetensors",
        "skops",
        "soundfile",
        "tokenizers",
    }
    for path, _, tree in python_files():
        top = set(tree.body)
        lines = {n.lineno for n in top if isinstance(n, (ast.Import, ast.ImportFrom))}
        for node, module in imports_of(path, tree):
            inside = node.lineno not in lines
            assert not inside or module.split(".")[0] in optional, f"{path}: {module}"


def test_warnings_point_at_the_line_of_the_user():
    for path, _, tree in python_files():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "warnings.warn":
                levels = [k.value for k in node.keywords if k.arg == "stacklevel"]
                found = [ast.unparse(level) for level in levels]
                assert found == ["user_stacklevel()"], f"{path}, line {node.lineno}"


def test_the_door_shows_exactly_the_public_names():
    assert sklearn_rnn.__all__ == sorted(PUBLIC)
    assert set(dir(sklearn_rnn)) >= set(PUBLIC)


@pytest.mark.parametrize("name", MODULES)
def test_every_door_lists_what_exists(name):
    module = importlib.import_module(name)
    for public in getattr(module, "__all__", ()):
        assert hasattr(module, public), f"{name}.__all__ lists {public}"
    if name.count(".") <= 1 and hasattr(module, "__path__"):
        assert module.__all__ == sorted(module.__all__), name


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples_run(name):
    failed, _ = doctest.testmod(importlib.import_module(name))
    plt.close("all")
    assert failed == 0


def documented():
    """Return the import path of everything a user may call."""
    names = []
    doors = [
        sklearn_rnn,
        sklearn_rnn.datasets,
        sklearn_rnn.metrics,
        sklearn_rnn.persistence,
    ]
    for door in doors:
        for public in door.__all__:
            thing = getattr(door, public)
            errors = inspect.isclass(thing) and issubclass(thing, Exception)
            if not callable(thing) or errors:
                continue
            names.append(f"{door.__name__}.{public}")
            if inspect.isclass(thing):
                names += [
                    f"{door.__name__}.{public}.{member}"
                    for member, value in vars(thing).items()
                    if inspect.isfunction(value) and not member.startswith("_")
                ]
    return names


@pytest.mark.parametrize("name", documented())
def test_docstrings_are_whole(name):
    errors = [
        (code, text)
        for code, text in validate(name)["errors"]
        if code in NUMPYDOC_CHECKS and not (code == "EX01" and name.count(".") > 1)
    ]
    assert not errors, f"{name}: {errors}"


# Parameters with words of their own, as they mean something else there.
OWN_WORDS = {
    "RNNGenerator": {
        "hidden_size",  # "auto" goes by the number of steps
        "input_dropout",  # of symbols or frames, which are not standardised
        "embedding_dim",  # symbols always have vectors, and are numbered by fit
        "bptt_steps",  # every step has a target, and no network reads backwards
        "batch_size",  # a long text is read at many places side by side
        "max_epochs",  # another budget of updates
        "early_stopping",  # of a single text a part is set aside
        "validation_fraction",  # no windows; of a single text its last part
        "dtype",  # "auto" would tell by a number of sequences, often one
        "lr_schedule",  # there is no partial_fit
        "warm_start",  # nothing is scaled, but symbols are numbered
        "ngram_order",  # beside the network, not of a beam search
    },
    "RNNRegressor": {
        "cell",  # one may be chosen by the data
        "hidden_size",
    },
    "RNNSeq2Seq": {
        "hidden_size",  # of encoder and decoder
        "n_layers",
        "bidirectional",  # the encoder alone
        "input_dropout",  # of what the encoder reads
        "embedding_dim",  # symbols always have vectors, and are numbered by fit
        "batch_size",  # pairs
        "max_epochs",  # another budget of updates
        "early_stopping",  # it may choose, watches the score, and cools down
        "tol",
        "validation_fraction",  # no windows
        "dtype",  # float64 costs what float32 does not, whatever the size
        "lr_schedule",  # there is no partial_fit
    },
    "RNNTranscriber": {
        "batch_size",  # a number alone
        "max_epochs",  # another budget of updates
        "validation_fraction",  # no windows
        "beam_width",  # with the ways to say a beginning, and other parameters
        "embedding_dim",  # symbols always have vectors, and are numbered by fit
        "dtype",  # float64 costs what float32 does not, whatever the size
        "lr_schedule",  # there is no partial_fit
    },
}
# Sentences that one estimator has besides the words of all.
OWN_SENTENCES = {
    ("RNNRegressor", "max_epochs"): (
        " Forecasts from 8192 and more windows make 5000 updates, in at most 20 epochs."
    ),
}


def words_by_parameter():
    words = {}
    for name in ESTIMATORS:
        parsed = NumpyDocString(inspect.getdoc(getattr(sklearn_rnn, name)))
        for parameter in parsed["Parameters"]:
            if parameter.name in OWN_WORDS.get(name, ()):
                continue
            text = " ".join(" ".join(parameter.desc).split())
            own = OWN_SENTENCES.get((name, parameter.name), "")
            assert own in text
            text = text.replace(own, "")
            words.setdefault(parameter.name, {})[name] = text
    return words


def test_one_parameter_has_the_same_words_everywhere():
    for parameter, by_estimator in words_by_parameter().items():
        # One says that the choice is stratified, which numbers cannot be.
        texts = {t.replace(", stratified by class", "") for t in by_estimator.values()}
        assert len(texts) == 1, f"{parameter}: {by_estimator}"


@pytest.mark.parametrize("name", ESTIMATORS)
def test_docstrings_state_the_true_defaults(name):
    estimator = getattr(sklearn_rnn, name)
    signature = inspect.signature(estimator)
    for parameter in NumpyDocString(inspect.getdoc(estimator))["Parameters"]:
        stated = re.search(r"default=(.+)$", parameter.type).group(1)
        default = signature.parameters[parameter.name].default
        assert ast.literal_eval(stated) == default, parameter.name


@pytest.mark.parametrize("name", METHODS)
def test_estimators_have_few_methods(name):
    assert len(methods_of(name)) <= METHODS[name].now


@pytest.mark.parametrize("name", LIMITS)
def test_the_house_keeps_its_limits(name):
    # python tests/measure_house.py --words FOLDER lists forbidden words.
    assert measure(name) <= LIMITS[name].now


@pytest.mark.parametrize("name", WALKS)
def test_walks_pass_few_functions_and_files(name):
    if name == "batch" and not compiled_kernels_available():
        pytest.skip("needs compiled kernels")
    limits = [limit.now for limit in WALK_LIMITS[name]]
    figures = WALKS[name]().figures
    assert all(n <= most for n, most in zip(figures, limits, strict=True)), figures


def test_version_is_that_of_the_package():
    pyproject = ROOT.parent / "pyproject.toml"
    project = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]
    assert sklearn_rnn.__version__ == project["version"]


def test_minimum_versions_are_those_of_pyproject():
    text = (ROOT.parent / "pyproject.toml").read_text(encoding="utf-8")
    project = tomllib.loads(text)["project"]
    extras = project["optional-dependencies"].values()
    wanted = [w for extra in extras for w in extra]
    minimum = dict(w.split(">=") for w in wanted if ">=" in w)
    core = dict(w.split(">=") for w in project["dependencies"])
    file = ROOT.parent / "tests" / "constraints-minimum.txt"
    lines = file.read_text(encoding="utf-8").splitlines()
    pins = dict(line.split("==") for line in lines if not line.startswith("#"))
    assert set(core) <= set(pins)
    for name, pin in pins.items():
        lowest = (core | minimum)[name]
        assert pin in (lowest, f"{lowest}.0", f"{lowest}.0.0"), name


def test_files_of_tests_are_not_long():
    for path in TESTS.rglob("*.py"):
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 700, path


def test_tests_import_public_names_from_public_places():
    folders = ["sklearn_rnn", *(f"sklearn_rnn.{name}" for name in PUBLIC_FOLDERS)]
    public = {
        name: folder
        for folder in reversed(folders)
        for name in importlib.import_module(folder).__all__
        if name not in PUBLIC_FOLDERS
    }
    for path in TESTS.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            module = getattr(node, "module", None) or ""
            if (
                not isinstance(node, ast.ImportFrom)
                or module.split(".")[0] != "sklearn_rnn"
            ):
                continue
            for name in (alias.name for alias in node.names):
                where = f"{path}, line {node.lineno}: {name}"
                assert module == public.get(name, module), where


def test_pages_are_finished():
    top = ROOT.parent
    pages = [top / "README.md", top / "tests" / "README.md"]
    for page in [*pages, *(top / "examples").rglob("*.md")]:
        found = re.findall(r"@[A-Z@]+|TODO", page.read_text(encoding="utf-8"))
        assert found == [], page
