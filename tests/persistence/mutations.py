"""Mutations of saved models: damage by accident, and by intent that knows the format.

    python tests/persistence/mutations.py 10000

loads that many mutated files, half by `load_model` and half by skops, within a limit of
memory and time per file, and prints what became of them. It ends with an error if code
was executed, a file was written, or a process crashed, hung or needed more memory.
"""

import argparse
import io
import json
import os
import resource
import signal
import sys
import sysconfig
import warnings
import zipfile
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import safetensors.numpy
import skops.io
from zoo import make

from sklearn_rnn import InvalidModelError
from sklearn_rnn.persistence import TRUSTED_TYPES, load_model, save_model
from sklearn_rnn.persistence._files import _digest

# Small files of every kind of content.
SAMPLES = (
    *("regressor", "attention", "tagger of words", "subwords", "transcriber"),
    *("generator with n-grams", "sequence to sequence", "bag of words", "schedule"),
    *("hourly forecast", "time zone", "gaps", "shops", "mixed table", "calibrator"),
    *("transformed target", "live"),
)
# Not in this list: models with convolutions, of which a file is large.
VALUES = [
    *(None, True, -1, 0, 3, 2**31, 10**18, 10**400, 0.5, -1e308, "", "x", "eval"),
    *([], [[[]]], {"dict": {}}, {"tuple": []}, {"float": "nan"}, {"float": "x"}),
    *({"array": "0"}, {"array": "none"}, {"numpy": "float64"}, {"numpy": "load"}),
    *({"objects": [], "shape": [10**12, 0]}, {"objects": [1], "shape": [10**12]}),
    *({"estimator": "builtins.eval", "state": {}}, {"estimator": "os.system"}),
    *({"estimator": "sklearn_rnn.RNNRegressor", "state": {}}, {"unknown": 1}, {}),
    *({"array": "0", "dtype": "<U1000000000"}, {"array": "0", "dtype": "O"}),
]
TYPES = [
    *("RandomState", "csr_array", "Index", "DatetimeIndex", "MultiIndex", "range"),
    *("tzinfo", "Offset", "DataFrame", "NetworkSpec", "Vocabulary", "SymbolCorpus"),
    *("torch", "partial", "objects", "Subwords", "RegressionTask", "os.system", 7),
]
LIMIT_BYTES, LIMIT_SECONDS = 2 * 2**30, 10


# The file as a whole


def truncate(data, rng):
    return data[: rng.randint(len(data))]


def flip(data, rng):
    changed = bytearray(data)
    for _ in range(rng.randint(1, 5)):
        changed[rng.randint(len(data))] = rng.randint(256)
    return bytes(changed)


def insert(data, rng):
    i = rng.randint(len(data))
    return data[:i] + rng.bytes(rng.randint(1, 100)) + data[i:]


def cut(data, rng):
    i = rng.randint(len(data))
    return data[:i] + data[i + rng.randint(1, 100) :]


def overwrite_length(data, rng):
    length = int(rng.choice([0, 1, 2**20, 2**40, 2**62]))
    return length.to_bytes(8, "little") + data[8:]


WHOLE = (truncate, flip, insert, cut, overwrite_length)


# JSON


def nodes_of(tree):
    """Return (container, key) of every node of a JSON value."""
    found, stack = [], [tree]
    while stack:
        node = stack.pop()
        items = node.items() if isinstance(node, dict) else enumerate(node)
        for key, child in items:
            found.append((node, key))
            if isinstance(child, (dict, list)) and child:
                stack.append(child)
    return found


def mutate_json(tree, rng, values):
    """Change some nodes of a JSON value in place."""
    for _ in range(rng.randint(1, 4)):
        nodes = nodes_of(tree)
        if not nodes:
            return
        node, key = nodes[rng.randint(len(nodes))]
        other, its_key = nodes[rng.randint(len(nodes))]
        action = rng.randint(7)
        if action == 0 and isinstance(node, dict):
            del node[key]
        elif action == 1:
            node[key] = json.loads(json.dumps(other[its_key]))  # it may hold node
        elif action == 2 and isinstance(node, list):
            node.extend(node[: 10**4])
        elif action == 3 and isinstance(node, dict):
            node[str(rng.randint(10))] = node.pop(key)
        elif action == 4:
            state = values[rng.randint(len(values))]
            name = TYPES[rng.randint(len(TYPES))]
            node[key] = {"dict": {"sklearn_rnn.type": name, "state": state}}
        elif action == 5 and type(node[key]) in (int, float):
            node[key] = rng.choice([-1, 0, 1, 2, 7, 10**9, 10**15]).item()
        else:
            node[key] = json.loads(json.dumps(values[rng.randint(len(values))]))


def nest(depth):
    return "[" * depth + "]" * depth


# Tensors


def mutate_tensors(tensors, rng):
    """Change a tensor of a dict in place."""
    name = sorted(tensors)[rng.randint(len(tensors))]
    tensor = tensors[name].copy()
    other = tensors[sorted(tensors)[rng.randint(len(tensors))]]
    kinds = {
        "f": [np.nan, np.inf, -1e300, 0],
        "i": [-1, 2**31 - 1, 0, -(2**31)],
        "u": [255, 0],
        "b": [True],
    }[tensor.dtype.kind]
    action = rng.randint(6)
    if action == 0 and tensor.size:
        with np.errstate(all="ignore"):
            value = np.array(kinds[rng.randint(len(kinds))])
            tensor.flat[rng.randint(tensor.size)] = value.astype(tensor.dtype)
    elif action == 1:
        tensor = tensor.reshape(-1)[: rng.randint(tensor.size + 1)]
    elif action == 2:
        tensor = tensor[np.newaxis]
    elif action == 3:
        tensor = other
    elif action == 4:
        tensor = np.zeros(tensor.shape, rng.choice(["f4", "i8", "u1", "?", "f2"]))
    else:
        del tensors[name]
        return
    tensors[name] = np.ascontiguousarray(tensor)


def mutate_safetensors(data, rng):
    """Change description and tensors of a file of save_model, with a new digest."""
    size = int.from_bytes(data[:8], "little")
    metadata = json.loads(data[8 : 8 + size])["__metadata__"]
    tensors = dict(safetensors.numpy.load(data))
    tree = [json.loads(metadata["model"])]
    action = rng.randint(10)
    if action < 3 and tensors:
        mutate_tensors(tensors, rng)
    elif action < 9:
        mutate_json(tree, rng, VALUES)
    metadata["model"] = json.dumps(tree[0])
    if action == 9:
        metadata["model"] = nest(int(rng.choice([10, 900, 10**5])))
    metadata["digest"] = _digest(metadata, tensors)
    return safetensors.numpy.save(tensors, metadata)


def mutate_skops(data, rng):
    """Change the schema or a member of a file of skops."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    if rng.randint(4):
        schema = json.loads(members["schema.json"])
        mutate_json(schema, rng, [*VALUES, *SKOPS_VALUES])
        members["schema.json"] = json.dumps(schema).encode()
    else:
        name = sorted(members)[rng.randint(len(members))]
        members[name] = WHOLE[rng.randint(len(WHOLE))](members[name], rng)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, contents in members.items():
            archive.writestr(name, contents)
    return out.getvalue()


SKOPS_VALUES = [
    {"__class__": "system", "__module__": "os", "__loader__": "FunctionNode"},
    {"__class__": "eval", "__module__": "builtins", "__loader__": "TypeNode"},
    *("builtins", "os", "system", "TupleNode", "ListNode", "ConstructorFromReduceNode"),
    *("sklearn_rnn", "RNNRegressor", "SequenceWindower", "StatefulPredictor"),
    *("../../etc/passwd", "JsonNode", "ObjectNode", "FunctionNode", "MethodNode"),
]


# What loading must not do


@contextmanager
def watched(found):
    """Collect calls that would execute code or write files in a list."""
    _WATCHERS.append(found)
    try:
        yield
    finally:
        _WATCHERS.remove(found)


_WATCHERS: list[list] = []
FORBIDDEN = (
    *("os.system", "os.exec", "os.fork", "os.posix_spawn", "subprocess.Popen"),
    *("pickle.find_class", "socket.connect", "os.remove", "os.rename", "os.mkdir"),
    *("exec", "ctypes.dlopen"),
)


def _audit(event, args):
    if not _WATCHERS:
        return
    writes = event == "open" and isinstance(args[2], int) and args[2] & _WRITING
    is_late_import = event == "exec" and args[0].co_filename.startswith(_INSTALLED)
    if (event in FORBIDDEN or writes) and not is_late_import:
        _WATCHERS[-1].append((event, *map(repr, args)))


# Modules of Python and packages that are imported when first needed.
_INSTALLED = (sysconfig.get_path("stdlib"), sysconfig.get_path("purelib"))
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
sys.addaudithook(_audit)


class TookTooLongError(BaseException):
    """A file took longer than the limit."""


def _end(signal_number, frame):
    raise TookTooLongError


# Load, and predict where that is possible


def load_ours(path, predict):
    """Load and predict; return what became of it."""
    try:
        model = load_model(path)
    except InvalidModelError:
        return "refused"
    return _predict(model, predict)


def load_skops(path, predict):
    """Load and predict; return what became of it."""
    try:
        model = skops.io.load(path, trusted=TRUSTED_TYPES)
    except MemoryError:
        raise
    except Exception:  # of many types: skops promises none
        return "refused"
    return _predict(model, predict)


def _predict(model, predict):
    # A model of the file's choice: it may fit no data, or be as large as it likes.
    try:
        predict(model)
    except (Exception, TookTooLongError):
        return "loaded, predicts with an error"
    return "loaded, predicts"


def run(kind, name, seed, folder):
    """Mutate, load and predict once; return what became of it, and what was done."""
    rng = np.random.RandomState(seed)
    path = folder / "model"
    sample = folder / f"{name}.{kind}"
    fitted = make(name)
    if not sample.exists():
        if kind == "ours":
            save_model(fitted.model, sample)
        else:
            skops.io.dump(fitted.model, sample)
    mutate = mutate_safetensors if kind == "ours" else mutate_skops
    data = sample.read_bytes()
    if rng.randint(4):
        data = mutate(data, rng)
    else:
        data = WHOLE[rng.randint(len(WHOLE))](data, rng)
    path.write_bytes(data)
    load = load_ours if kind == "ours" else load_skops
    found: list = []
    with warnings.catch_warnings(), watched(found), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        result = load(path, fitted.predict)
    return result, found


def run_many(n, first_seed=0, progress=None):
    """Return how often each thing happened, and what code would have been executed."""
    counts: Counter = Counter()
    executed = []
    with TemporaryDirectory() as name:
        folder = Path(name)
        for i in range(n):
            kind = ("ours", "skops")[i % 2]
            sample = SAMPLES[i // 2 % len(SAMPLES)]
            if progress:
                progress(kind, sample, first_seed + i)
            result, found = run(kind, sample, first_seed + i, folder)
            counts[kind, result] += 1
            executed += [(kind, sample, first_seed + i, *call) for call in found]
    return counts, executed


def main():
    """Run in this process, with limits."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("n", type=int)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    for name in SAMPLES:
        fitted = make(name)
        fitted.predict(fitted.model)  # lazy imports come first
    run_many(2 * len(SAMPLES), 10**6)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + LIMIT_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    signal.signal(signal.SIGPROF, _end)
    before = resource.getrusage(resource.RUSAGE_SELF)

    def progress(*which):
        signal.setitimer(signal.ITIMER_PROF, LIMIT_SECONDS)
        Path(f"/tmp/mutation-{os.getpid()}").write_text(repr(which))

    counts, executed = run_many(options.n, options.seed, progress)
    signal.setitimer(signal.ITIMER_PROF, 0)
    after = resource.getrusage(resource.RUSAGE_SELF)
    for key, count in sorted(counts.items()):
        print(*key, count)
    print(f"CPU time {after.ru_utime - before.ru_utime:.0f} s")
    print(
        f"peak memory {before.ru_maxrss / 1024:.0f} -> {after.ru_maxrss / 1024:.0f} MB"
    )
    print(f"executed or written: {executed[:10]}")
    return len(executed) > 0


if __name__ == "__main__":
    sys.exit(main())
