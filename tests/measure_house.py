"""Measure how easy the package is to find one's way in, as an outside review did.

    python tests/measure_house.py
    python tests/measure_house.py --words displays
    python tests/measure_house.py --walk fit

The first prints a table of all measures with their limits and aims; ``--words`` lists
the forbidden words in one folder (or in all, without a name), and ``--walk`` the
functions of one walk in the order of their first calls. ``test_house.py`` holds the
limits. A limit is what stands today and may only fall; the aim is where it should end.
"""

import argparse
import ast
import inspect
import io
import re
import sys
import tokenize
from collections import Counter
from copy import deepcopy
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.pipeline import make_pipeline
from skorch.callbacks import Callback

import sklearn_rnn
from sklearn_rnn import (
    RNNClassifier,
    RNNRegressor,
    SequenceWindower,
    forecast,
    make_forecast_frame,
)
from sklearn_rnn.estimators import tasks

ROOT = Path(sklearn_rnn.__file__).parent
ESTIMATORS = [
    "RNNClassifier",
    "RNNGenerator",
    "RNNRegressor",
    "RNNSeq2Seq",
    "RNNTagger",
    "RNNTranscriber",
]


class Limit(NamedTuple):
    """The most that a measure may be today, and where it should end."""

    now: int
    aim: int


class SourceFile(NamedTuple):
    """A Python file, its text and its syntax tree."""

    path: Path
    text: str
    tree: ast.AST


@cache
def python_files():
    """Return the package's Python files, parsed."""
    paths = sorted(ROOT.rglob("*.py"))
    texts = [path.read_text(encoding="utf-8") for path in paths]
    return [
        SourceFile(path, text, ast.parse(text))
        for path, text in zip(paths, texts, strict=True)
    ]


def short(path):
    """Return a path as seen from the package."""
    return Path(path).relative_to(ROOT).as_posix()


# Methods of estimators


def methods_of(name):
    """Return methods and properties of an estimator, or a task, over our bases."""
    found = {}
    for base in (getattr(sklearn_rnn, name, None) or getattr(tasks, name)).__mro__:
        if base.__module__.split(".")[0] != "sklearn_rnn":
            continue
        for method, value in vars(base).items():
            for wrapped in ("__func__", "fget", "fn"):  # of properties, available_if
                value = getattr(value, wrapped, value)
            if inspect.isfunction(value):
                found.setdefault(method, base.__module__)
    return found


# Positional arguments


def positional_arguments():
    """Return (how many, where) of definitions and calls, the longest first."""
    found = []
    for path, _, tree in python_files():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                names = [a.arg for a in node.args.posonlyargs + node.args.args]
                n = len(names) - (names[:1] in (["self"], ["cls"], ["ctx"]))
                found.append((n, f"{short(path)}:{node.lineno} def {node.name}"))
            elif isinstance(node, ast.Call):
                n = len(node.args)
                found.append((n, f"{short(path)}:{node.lineno} call"))
    return sorted(found, reverse=True)


# Private attributes of self that come from elsewhere


def undeclared_uses():
    """Return where ``self._x`` is neither defined nor assigned in the same file."""
    return [
        f"{short(path)}:{line} self.{name}"
        for path, _, tree in python_files()
        for name, line in _undeclared(tree)
    ]


def _undeclared(tree):
    declared, uses = set(), []
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            declared.add(node.name)
        elif isinstance(node, ast.ClassDef):
            for line in node.body:
                targets = getattr(line, "targets", [getattr(line, "target", None)])
                declared |= {t.id for t in targets if isinstance(t, ast.Name)}
        elif isinstance(node, ast.Attribute) and _is_private_of_self(node):
            if isinstance(node.ctx, ast.Store):
                declared.add(node.attr)
            else:
                uses.append((node.attr, node.lineno))
    return [(name, line) for name, line in uses if name not in declared]


def _is_private_of_self(node):
    return (
        isinstance(node.value, ast.Name)
        and node.value.id == "self"
        and re.match("_[^_]", node.attr) is not None
        and node.attr != "_replace"  # public: of named tuples
    )


# Words
#
# A private dialect is forbidden where the field has a word of its own. Left out, as
# they have a legitimate meaning beside: above, below, back, enter, forget, leave, one,
# take, put, known, number, each, first, run, reach, read, steps (in prose); slope (of
# a line), moments (of Adam), width (of a beam), tied (weights), ticks (of an axis),
# loop, plain, shares (memory), place, look.

# In names, docstrings, comments and messages. A space stands for any white space.
WORDS = [
    "rooms?",
    "(?:way|run) back",
    "(?:enter|leave) gates?",
    "fill(?:s|ed)? up",
    "plain networks?",
    "judg(?:e|es|ed|ing)",
    "heard",
    "listens?",
    "somebody",
    "nobody",
    "whoever",
    "at hand",
    "pieces?",
    "anchored",
    "variations?",
    "(?<!decimal\\s)places",
    "lead-?ins?",
    "anew",
    "former",
    "go(?:es|ing)? on",
    "went on",
    "shares? of",
    "sayable",
    "tells? whether",
]
# In names alone, as parts of them: in prose they may be the right words.
PARTS_OF_NAMES = [
    "break",
    "breaks",
    "each",
    "learns",
    "loops",
    "owner",
    "reach",
    "share",
    "tails",
    "turned",
    "vary",
    "wide",
]
BEGINNINGS_OF_NAMES = ["learn_", "put_", "read_", "refuse_", "take_"]
WHOLE_NAMES = [
    "_agree",
    "_decide",
    "_go_back",
    "_known",
    "_leave",
    "_look_at_weights",
    "ONE",
    "above",
    "below",
    "come_on",
    "is_tied",
    "with_x",
]
# Words that a file may keep, such as public names that leave with the next release.
ALLOWED: dict[str, set[str]] = {
    "datasets/_text.py": {"piece"},  # a sentence of the data
    # Public in version 0.6, or in its pickles.
    "audio/_augmentation.py": {"variation"},
    "sequences/_container.py": {"read_"},
    "sequences/_times.py": {"reach"},
    "sequences/_renamed.py": {"anchored", "variation"},
    "sequences/_windows.py": {"each"},
}
_PROSE = re.compile(
    r"\b(?:{})\b".format("|".join(WORDS).replace(" ", r"[\s_#]+")), re.IGNORECASE
)
_WHOLE_PARTS = re.compile("|".join(WORDS).replace(" ", "_"))


def forbidden_words(folder=""):
    """Return (file, line, word) of every forbidden word in a folder of the package."""
    found = []
    for path, text, tree in python_files():
        if short(path).startswith(folder):
            for line, word in [*_words_of_prose(text, tree), *_words_of_names(tree)]:
                found.append((short(path), line, word))
    for path in sorted([*ROOT.rglob("*.hpp"), *ROOT.rglob("*.cpp")]):
        if short(path).startswith(folder):
            text = path.read_text(encoding="utf-8")
            found += [(short(path), *hit) for hit in _prose_hits(text, 1)]
    return [hit for hit in found if hit[2] not in ALLOWED.get(hit[0], ())]


def _prose_hits(text, line):
    for match in _PROSE.finditer(text):
        word = " ".join(match[0].lower().replace("#", " ").split())
        yield line + text.count("\n", 0, match.start()), word


def _words_of_prose(text, tree):
    """Yield what stands in strings and comments; neighbouring comments are one."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from _prose_hits(node.value, node.lineno)
    comments = [
        (token.start[0], token.string)
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type == tokenize.COMMENT
    ]
    block, begin = "", 0
    for line, comment in [*comments, (0, "")]:
        if block and line == begin + block.count("\n") + 1:
            block += "\n" + comment
        else:
            yield from _prose_hits(block, begin)
            block, begin = comment, line


def _words_of_names(tree):
    for node in ast.walk(tree):
        name = _defined_name(node)
        if name is None:
            continue
        line = getattr(node, "lineno", 0)
        parts = re.findall("[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)
        parts = [part.lower() for part in parts]
        for word in dict.fromkeys(parts):
            if word in PARTS_OF_NAMES or _WHOLE_PARTS.fullmatch(word):
                yield line, word
        for first, second in pairwise(parts):
            if _WHOLE_PARTS.fullmatch(f"{first}_{second}"):
                yield line, f"{first} {second}"
        if name in WHOLE_NAMES:
            yield line, name
        for beginning in BEGINNINGS_OF_NAMES:
            if name.lstrip("_").startswith(beginning):
                yield line, beginning


def _defined_name(node):
    """Return the name that a node defines, or None."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return node.name
    if isinstance(node, ast.arg):
        return node.arg
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        return node.id
    if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
        return node.attr
    return None


# Walks


class Walk:
    """Records the functions of the package in the order of their first calls."""

    def __init__(self):
        self.codes = {}
        self._previous = None

    def start(self):
        """Begin to record the calls of this thread."""
        self._previous = sys.getprofile()
        sys.setprofile(self._record)

    def stop(self):
        """End recording; more than once does no harm."""
        if sys.getprofile() == self._record:
            sys.setprofile(self._previous)

    def _record(self, frame, event, arg):
        code = frame.f_code
        # Comprehensions and lambdas are parts of the functions around them.
        if event == "call" and not code.co_name.startswith("<"):
            if code.co_filename.startswith(str(ROOT)):
                self.codes.setdefault(code)

    @property
    def files(self):
        """The file of each function."""
        return [short(code.co_filename) for code in self.codes]

    @property
    def n_returns(self):
        """How often the walk goes back to a file that it had left."""
        files = self.files
        return sum(
            files[k] != files[k - 1] and files[k] in files[:k]
            for k in range(1, len(files))
        )

    @property
    def figures(self):
        """Functions, files, and returns to a file that the walk had left."""
        return len(self.codes), len(set(self.files)), self.n_returns


class _UntilTraining(Callback):
    def __init__(self, walk):
        self.walk = walk

    def on_train_begin(self, net, **kwargs):
        self.walk.stop()


class _SecondEpoch(Callback):
    def __init__(self, walk):
        self.walk = walk

    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) == 2:
            self.walk.start()

    def on_epoch_end(self, net, **kwargs):
        self.walk.stop()


def _sequences():
    random = np.random.RandomState(0)
    X = random.uniform(size=(60, 8, 2)).astype(np.float32)
    return X, np.array(["a", "b"])[random.randint(2, size=60)]


def _table():
    days = pd.date_range("2024-01-01", periods=100, freq="D")
    table = pd.DataFrame({"sales": np.arange(100.0)}, index=days)
    return table, *make_forecast_frame(table, target="sales", horizon=2)


def walk_of_fit(**parameters):
    """Walk through ``RNNClassifier.fit`` up to the training loop."""
    walk = Walk()
    model = RNNClassifier(
        max_epochs=1, random_state=0, callbacks=[_UntilTraining(walk)], **parameters
    )
    model.fit(*_sequences())  # what is loaded and cached once is none of the walk
    walk.codes.clear()
    try:
        walk.start()
        model.fit(*_sequences())
    finally:
        walk.stop()
    return walk


def walk_of_windower():
    """Walk through ``SequenceWindower.fit_transform`` of a table."""
    _, X, _ = _table()
    windower = SequenceWindower(7)
    windower.fit_transform(X)
    walk = Walk()
    try:
        walk.start()
        windower.fit_transform(X)
    finally:
        walk.stop()
    return walk


def walk_of_forecast():
    """Walk through ``forecast`` by a pipeline of windower and regressor."""
    table, X, Y = _table()
    regressor = RNNRegressor(target_feature="sales", max_epochs=1, random_state=0)
    model = make_pipeline(SequenceWindower(7), regressor).fit(X, Y)
    forecast(model, table)
    # What is decided when a network first predicts is part of the walk.
    regressor = model[-1]
    regressor.module_ = deepcopy(regressor.module_)
    walk = Walk()
    try:
        walk.start()
        forecast(model, table)
    finally:
        walk.stop()
    return walk


def walk_of_batch():
    """Walk through an epoch of one batch where the kernels are compiled."""
    X, _ = _sequences()
    walk = Walk()
    model = RNNRegressor(
        max_epochs=2,
        batch_size=len(X),
        dtype="float32",
        random_state=0,
        callbacks=[_SecondEpoch(walk)],
    )
    try:
        model.fit(X, X[:, 0, 0])
    finally:
        walk.stop()
    return walk


WALKS = {
    # The review's figures are of the network alone: 125, 31, 53.
    "fit": lambda: walk_of_fit(convolutions=None),
    "fit, default": walk_of_fit,
    "fit_transform": walk_of_windower,
    "forecast": walk_of_forecast,
    "batch": walk_of_batch,
}


# Lines


def count_lines():
    """Return lines of code, docstrings and comments in the package."""
    lines = Counter()
    for _, text, tree in python_files():
        documented = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
                documented |= set(range(node.lineno, node.end_lineno + 1))
        coded, commented = set(), set()
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.COMMENT:
                commented.add(token.start[0])
            elif token.string.strip() and token.type != tokenize.ENDMARKER:
                coded |= set(range(token.start[0], token.end[0] + 1))
        lines["code"] += len(coded - documented)
        lines["docstring"] += len(documented)
        lines["comment"] += len(commented - coded)
    return lines


def longest_file():
    """Return lines and name of the longest file: a hint, not a limit."""
    return max((text.count("\n"), short(path)) for path, text, _ in python_files())


# The limits: lower `now` when a measure falls.

METHODS = {
    "RNNClassifier": Limit(21, 40),
    "RNNGenerator": Limit(24, 40),
    "RNNRegressor": Limit(22, 40),
    "RNNSeq2Seq": Limit(19, 40),
    "RNNTagger": Limit(21, 40),
    "RNNTranscriber": Limit(19, 40),
    # And of what they learn.
    "ClassificationTask": Limit(35, 40),
    "GenerationTask": Limit(27, 40),
    "RegressionTask": Limit(38, 40),
    "Seq2SeqTask": Limit(35, 40),
    "TaggingTask": Limit(35, 40),
    "TranscriptionTask": Limit(39, 40),
}
LIMITS = {
    "positional arguments": Limit(7, 8),
    "undeclared uses": Limit(0, 0),
    "forbidden words": Limit(0, 0),
}
# Functions, files, and returns to a file that the walk had left.
WALK_LIMITS = {
    "fit": (Limit(59, 60), Limit(14, 15), Limit(10, 10)),
    "fit, default": (Limit(72, 75), Limit(16, 18), Limit(12, 12)),
    "fit_transform": (Limit(22, 25), Limit(5, 6), Limit(2, 4)),
    "forecast": (Limit(60, 60), Limit(19, 20), Limit(10, 12)),
    "batch": (Limit(12, 12), Limit(5, 5), Limit(3, 5)),
}


def measure(name):
    """Return a measure of `LIMITS`."""
    if name == "positional arguments":
        return positional_arguments()[0][0]
    found = {"undeclared uses": undeclared_uses, "forbidden words": forbidden_words}
    return len(found[name]())


def _print_row(name, value, limit=("", "")):
    print(f"{name:42}{value:>8}{limit[0]:>8}{limit[1]:>8}")


def print_table():
    print(f"{'':42}{'value':>8}{'limit':>8}{'aim':>8}")
    for name, limit in METHODS.items():
        methods = methods_of(name)
        n_files = len(set(methods.values()))
        _print_row(f"{name}: methods, in {n_files} files", len(methods), limit)
    for name, limit in LIMITS.items():
        _print_row(name, measure(name), limit)
    for name, limits in WALK_LIMITS.items():
        figures = WALKS[name]().figures
        for what, value, limit in zip(
            ["functions", "files", "returns"], figures, limits, strict=True
        ):
            _print_row(f"walk of {name}: {what}", value, limit)
    for kind, n_lines in count_lines().items():
        _print_row(f"lines of {kind}", n_lines)
    n_lines, path = longest_file()
    _print_row(f"longest file, {path}", n_lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--words", nargs="?", const="", metavar="FOLDER")
    parser.add_argument("--walk", choices=list(WALKS))
    options = parser.parse_args()
    if options.words is not None:
        hits = forbidden_words(options.words)
        for path, line, word in hits:
            print(f"{path}:{line}: {word}")
        print(Counter(word for *_, word in hits).most_common())
        print(Counter(path.split("/")[0] for path, *_ in hits).most_common())
    elif options.walk:
        walk = WALKS[options.walk]()
        for code in walk.codes:
            print(f"{short(code.co_filename):42}{code.co_qualname}")
    else:
        print_table()


if __name__ == "__main__":
    main()
