"""The library of compiled kernels: built, loaded, chosen from, reported."""

import ctypes
import os
import pickle
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

import sklearn_rnn
from sklearn_rnn import RNNClassifier, RNNRegressor
from sklearn_rnn.kernels import (
    compiled_kernels_available,
    instruction_set,
    instruction_sets,
    library,
    library_compiler,
    library_error,
    set_instruction_set,
)
from sklearn_rnn.kernels._build import (
    BuildError,
    NoCompilerError,
    build,
    build_if_changed,
    find_library,
    hash_sources,
    load_hash,
)

PACKAGE = Path(sklearn_rnn.__file__).parent
# As few lines as a library needs; the true ones take their time to compile.
SMALL_SOURCES = {
    "interface.hpp": "constexpr int ABI_VERSION = 1;\n",
    "kernels.cpp": """
#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
#define TEXT_(a) #a
#define TEXT(a) TEXT_(a)
const char *JOIN(kernels_, INSTRUCTION_SET)() { return TEXT(INSTRUCTION_SET); }
""",
    "library.cpp": """
#include <cstring>
#include "interface.hpp"
#if defined(_WIN32)
#define EXPORT extern "C" __declspec(dllexport)
#else
#define EXPORT extern "C" __attribute__((visibility("default")))
#endif
#define TEXT_(a) #a
#define TEXT(a) TEXT_(a)
#define LABEL "sources of the kernels: "
#define DECLARE(set) const char *kernels_##set();
SETS(DECLARE)
#define NAME(set) kernels_##set(),
static const char *names[] = {SETS(NAME)};
#define LIST(set) "," #set
EXPORT const char *instruction_sets() { return &(SETS(LIST))[1]; }
EXPORT const char *instruction_set() { return names[0]; }
EXPORT int set_instruction_set(const char *name) { return !strcmp(name, names[0]); }
EXPORT const char *interface_hash() { return TEXT(INTERFACE_HASH); }
EXPORT const char *compiler() { return "some compiler"; }
EXPORT const char *source_hash() { return LABEL TEXT(SOURCE_HASH); }
""",
}

needs_library = pytest.mark.skipif(library() is None, reason=str(library_error()))


@pytest.fixture(scope="module")
def compiler(tmp_path_factory):
    """Skip where nothing compiles."""
    try:
        build(tmp_path_factory.mktemp("kernels"), write_sources(tmp_path_factory))
    except NoCompilerError as error:
        pytest.skip(str(error))


def write_sources(tmp_path_factory):
    sources = tmp_path_factory.mktemp("sources")
    for name, text in SMALL_SOURCES.items():
        (sources / name).write_text(text)
    return sources


@pytest.fixture
def sources(tmp_path_factory):
    return write_sources(tmp_path_factory)


@pytest.fixture
def kernels(tmp_path):
    """Have the package's loading of the library alone, with small sources."""
    modules = ("_exceptions.py", "_logging.py", "kernels/_build.py")
    for name in (*modules, "kernels/_library.py"):
        (tmp_path / "sklearn_rnn" / name).parent.mkdir(exist_ok=True)
        shutil.copy(PACKAGE / name, tmp_path / "sklearn_rnn" / name)
    (tmp_path / "sklearn_rnn" / "kernels" / "src").mkdir()
    for name, text in SMALL_SOURCES.items():
        (tmp_path / "sklearn_rnn" / "kernels" / "src" / name).write_text(text)
    return tmp_path / "sklearn_rnn" / "kernels"


@pytest.fixture
def whole_package(kernels):
    """Have all of the package with the small sources."""
    ignore = shutil.ignore_patterns("_kernels*", "__pycache__", "data", "src")
    folder = kernels.parent
    shutil.copytree(PACKAGE, folder, ignore=ignore, dirs_exist_ok=True)
    return kernels


def run(kernels, script, **variables):
    """Run a script with a copy of the package."""
    return subprocess.run(**command_of(kernels, script, variables), check=False)


def command_of(kernels, script, variables):
    given = {k: v for k, v in os.environ.items() if not k.startswith("SKLEARN_RNN")}
    root = kernels.parent.parent
    script = "from sklearn_rnn.kernels._library import *\n" + script
    return {
        "args": [sys.executable, "-c", script],
        "cwd": root,
        "env": {**given, "PYTHONPATH": str(root), **variables},
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
        "text": True,
    }


# Compiled.


def test_a_build_has_all_instruction_sets_and_the_hash(compiler, sources, tmp_path):
    built = build(tmp_path, sources)
    assert built.library.parent == tmp_path
    assert built.left_out == {}
    loaded = ctypes.CDLL(str(built.library))
    loaded.instruction_sets.restype = ctypes.c_char_p
    assert loaded.instruction_sets().decode().split(",") == list(built.instruction_sets)
    assert load_hash(built.library) == hash_sources(sources)
    assert os.listdir(tmp_path) == [built.library.name]


def test_the_hash_is_of_sources_and_not_of_line_ends(sources):
    before = hash_sources(sources)
    path = sources / "kernels.cpp"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert hash_sources(sources) == before
    path.write_text(path.read_text() + "// more\n")
    assert hash_sources(sources) != before


def test_only_changed_sources_are_compiled_again(compiler, sources, tmp_path):
    assert build_if_changed(tmp_path, sources) is not None
    assert build_if_changed(tmp_path, sources) is None
    path = sources / "interface.hpp"
    path.write_text(path.read_text() + "// more\n")
    assert build_if_changed(tmp_path, sources) is not None
    assert load_hash(find_library(tmp_path)) == hash_sources(sources)


def test_a_set_that_the_compiler_cannot_do_is_left_out(compiler, sources, tmp_path):
    path = sources / "kernels.cpp"
    guard = "#ifdef __AVX512F__\n#error no registers\n#endif\n"
    sets = build(tmp_path, sources).instruction_sets
    path.write_text(guard + path.read_text())
    built = build(tmp_path, sources)
    assert built.instruction_sets == tuple(name for name in sets if name != "avx512")
    assert all("no registers" in text for text in built.left_out.values())


def test_an_error_shows_the_compilers_message_and_keeps_the_library(
    compiler, sources, tmp_path
):
    library = build(tmp_path, sources).library
    before = library.read_bytes()
    (sources / "kernels.cpp").write_text("#error this cannot be\n")
    with pytest.raises(BuildError, match="this cannot be"):
        build(tmp_path, sources)
    assert library.read_bytes() == before
    assert os.listdir(tmp_path) == [library.name]


def test_a_missing_compiler_is_named(sources, tmp_path, monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler -m64")
    with pytest.raises(NoCompilerError, match="no-such-compiler -m64: not found"):
        build(tmp_path, sources)


# Loaded.


def test_a_first_use_compiles_and_a_second_one_does_not(compiler, kernels):
    script = "assert library(), library_error(); print(instruction_sets())"
    first = run(kernels, script)
    assert first.returncode == 0, first.stderr
    assert run(kernels, script, CXX="no-such-compiler").stdout == first.stdout


def test_changed_sources_are_noticed(compiler, kernels):
    script = "print(library_compiler())"
    assert run(kernels, script).stdout == "some compiler\n"
    path = kernels / "src" / "library.cpp"
    path.write_text(path.read_text().replace("some compiler", "another one"))
    assert run(kernels, script).stdout == "another one\n"


def test_sources_that_no_longer_compile_warn_once_with_the_reason(compiler, kernels):
    run(kernels, "library()")
    (kernels / "src" / "kernels.cpp").write_text("#error broken\n")
    done = run(kernels, "print(library(), library_error()); library()")
    assert done.stdout.startswith("None The kernels could not be compiled.")
    assert "broken" in done.stdout
    assert done.stderr.count("RuntimeWarning: The kernels could not be compiled") == 1
    assert done.stderr.startswith("<string>:2:")  # the line of the user


def test_changed_sources_without_a_compiler_warn(compiler, kernels):
    run(kernels, "library()")
    path = kernels / "src" / "kernels.cpp"
    path.write_text(path.read_text() + "// more\n")
    done = run(kernels, "print(library())", CXX="no-such-compiler")
    assert done.stdout == "None\n"
    assert "RuntimeWarning: There is no C++ compiler" in done.stderr


WRAPPER = """
import subprocess
import sys
with open({log!r}, "a") as log:
    log.write(" ".join(sys.argv) + "\\n")
sys.exit(subprocess.run(["c++", *sys.argv[1:]]).returncode)
"""


@pytest.mark.skipif(not shutil.which("c++"), reason="no c++")
def test_processes_side_by_side_compile_once(kernels, tmp_path):
    (tmp_path / "wrapper.py").write_text(WRAPPER.format(log=str(tmp_path / "log")))
    variables = {"CXX": f'"{sys.executable}" "{tmp_path / "wrapper.py"}"'}
    command = command_of(kernels, "assert library(), library_error()", variables)
    processes = [subprocess.Popen(**command) for _ in range(3)]
    errors = [process.communicate()[1] for process in processes]
    assert errors == ["", "", ""]
    lines = (tmp_path / "log").read_text().splitlines()
    assert len([line for line in lines if "library.cpp" in line]) == 1


def test_an_interrupted_compilation_leaves_nothing_behind(compiler, kernels):
    script = """
import signal, subprocess
start = subprocess.Popen
def interrupted(command, **options):
    if "-c" in command:
        signal.raise_signal(signal.SIGINT)
    return start(command, **options)
subprocess.Popen = interrupted
try:
    library()
except KeyboardInterrupt:
    subprocess.Popen = start
    print(library() is not None)
"""
    assert run(kernels, script).stdout == "True\n"
    left = [name for name in os.listdir(kernels) if name.startswith("_kernels")]
    assert set(left) == {"_kernels.lock", find_library().name}


def test_an_interface_of_another_version_is_refused(compiler, kernels):
    run(kernels, "library()")
    (kernels / "src" / "library.cpp").unlink()  # as in a wheel
    (kernels / "src" / "interface.hpp").write_text("struct Other {};")
    done = run(kernels, "print(library(), library_error())")
    assert done.stdout.startswith("None ")
    assert "was compiled for another version of this package" in done.stdout
    assert "RuntimeWarning" in done.stderr


FIT = """
import warnings
import sklearn_rnn
import numpy as np
X, y = np.zeros((6, 3)), np.arange(6) % 2
warnings.simplefilter("error")
model = sklearn_rnn.RNNClassifier(max_epochs=1).fit(X, y)
assert model.kernel_ == "torch"
try:
    sklearn_rnn.RNNClassifier(max_epochs=1, kernel="compiled").fit(X, y)
except ImportError as error:
    print(error)
"""


@pytest.mark.thorough
def test_without_a_compiler_torch_computes_and_says_so(whole_package):
    done = run(whole_package, FIT, CXX="no-such-compiler")
    assert done.returncode == 0, done.stderr
    assert 'Set kernel="auto" or kernel="torch"' in done.stdout
    assert "no-such-compiler: not found" in done.stdout


def test_an_installation_without_library_and_sources_says_so(kernels):
    (kernels / "src" / "library.cpp").unlink()
    done = run(kernels, "print(library(), library_error())")
    assert done.stderr == ""
    assert "This installation has no compiled kernels" in done.stdout
    (kernels / "_kernels.txt").write_text("There is no C++ compiler.")  # by setup.py
    done = run(kernels, "print(library_error())")
    assert "There is no C++ compiler." in done.stdout


LOAD = """
import pickle
import numpy as np
with open("model", "rb") as file:
    model = pickle.load(file)
assert model.kernel_ == "torch"
predicted = model.predict(np.ones((2, 3)))
np.testing.assert_allclose(predicted, np.load("expected.npy"), rtol=1e-5)
"""


@pytest.mark.slow
@needs_library
def test_pickles_of_compiled_kernels_load_without_them(whole_package, tmp_path):
    X = np.random.default_rng(0).normal(size=(6, 3))
    model = RNNRegressor(max_epochs=1, kernel="compiled").fit(X, X[:, 0])
    (tmp_path / "model").write_bytes(pickle.dumps(model))
    np.save(tmp_path / "expected.npy", model.predict(np.ones((2, 3))))
    done = run(whole_package, LOAD, CXX="no-such-compiler")
    assert done.returncode == 0, done.stderr


# Instruction sets.


@needs_library
def test_every_instruction_set_of_this_processor_can_be_used():
    before = instruction_set()
    assert before in instruction_sets()
    try:
        for name in instruction_sets():
            set_instruction_set(name)
            assert instruction_set() == name
    finally:
        set_instruction_set(before)


@needs_library
def test_an_unknown_instruction_set_is_refused():
    before = instruction_set()
    with pytest.raises(ValueError, match=f"'mmx'.*: {instruction_sets()[0]}"):
        set_instruction_set("mmx")
    assert instruction_set() == before


def test_the_environment_variable_refuses_an_unknown_set(compiler, kernels):
    done = run(kernels, "library()", SKLEARN_RNN_INSTRUCTION_SET="mmx")
    assert (
        "ValueError: SKLEARN_RNN_INSTRUCTION_SET='mmx' is not an instr" in done.stderr
    )
    sets = run(kernels, "print(', '.join(instruction_sets()))").stdout.strip()
    assert f"one of: {sets}." in done.stderr


def test_the_environment_variable_warns_of_a_set_that_is_not_here(compiler, kernels):
    name = "avx2" if "neon" in instruction_sets() else "neon"
    script = "print(instruction_set())"
    done = run(kernels, script, SKLEARN_RNN_INSTRUCTION_SET=name)
    assert done.stdout == run(kernels, script).stdout
    assert f"='{name}' cannot be used" in done.stderr


@pytest.mark.thorough
@needs_library
def test_the_environment_variable_chooses():
    narrowest = instruction_sets()[-1]
    variables = {"SKLEARN_RNN_INSTRUCTION_SET": narrowest}
    done = run(PACKAGE / "kernels", "print(instruction_set())", **variables)
    assert done.stdout.strip() == narrowest, done.stderr


# Reported.


def test_show_versions_tells_of_system_packages_kernels_and_threads(capsys):
    sklearn_rnn.show_versions()
    text = capsys.readouterr().out
    for title in ("System", "Python dependencies", "Compiled kernels", "Threads"):
        assert f"\n{title}:\n" in text
    assert f"sklearn_rnn: {sklearn_rnn.__version__}\n" in text
    assert f" skops: {version('skops')}\n" in text
    for name in ("onnx", "onnxruntime", "onnxscript", "holidays"):
        assert f" {name}: " in text  # None where it is not installed
    assert f"available: {compiled_kernels_available()}\n" in text
    if library() is not None:
        assert str(find_library()) in text
        assert f"instruction set: {instruction_set()}\n" in text
        assert f"usable here: {', '.join(instruction_sets())}\n" in text
        assert f"compiler: {library_compiler()}\n" in text


@pytest.mark.slow
def test_show_versions_says_why_there_are_no_kernels(whole_package):
    script = "import sklearn_rnn; sklearn_rnn.show_versions()"
    done = run(whole_package, script, CXX="no-such-compiler")
    assert "available: False\n" in done.stdout
    assert "no-such-compiler: not found" in done.stdout


@pytest.mark.slow
def test_show_versions_prints_a_wrong_instruction_set(whole_package):
    script = "import sklearn_rnn; sklearn_rnn.show_versions()"
    variables = {"SKLEARN_RNN_INSTRUCTION_SET": "mmx"}
    done = run(whole_package, script, **variables)
    assert "available: False\n" in done.stdout
    assert "is not an instruction set" in done.stdout or "no C++" in done.stdout


# The previous name.


def test_the_former_name_of_the_kernel_means_compiled_and_warns():
    X = np.random.default_rng(0).normal(size=(6, 3))
    model = RNNRegressor(max_epochs=1).set_params(kernel="numba")
    if not compiled_kernels_available():
        pytest.skip("no compiled kernels")
    with pytest.warns(FutureWarning, match='renamed to kernel="compiled"') as caught:
        model.fit(X, X[:, 0])
    assert [warning.filename for warning in caught] == [__file__]
    assert model.kernel_ == "compiled"
    assert model.kernel == "numba"  # as it was set


def test_the_former_name_in_pickles_warns_and_becomes_the_present_one():
    X, y = np.zeros((6, 3)), np.arange(6) % 2
    model = RNNClassifier(max_epochs=1).fit(X, y).set_params(kernel="numba")
    with pytest.warns(FutureWarning, match='renamed to kernel="compiled"') as caught:
        loaded = pickle.loads(pickle.dumps(model))
    assert [warning.filename for warning in caught] == [__file__]
    assert loaded.kernel == "compiled"
    assert loaded.kernel_ == ("compiled" if compiled_kernels_available() else "torch")
