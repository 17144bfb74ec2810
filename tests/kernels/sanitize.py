"""Run the tests of the kernels with compilers' sanitizers.

    python tests/kernels/sanitize.py [instruction set ...] [-- arguments of pytest]
    python tests/kernels/sanitize.py threads

The first form builds the library with the address and the undefined behaviour
sanitizer, every array an allocation of its own that begins as NaN, into a temporary
folder, and runs the tests with it, once per instruction set (all of this processor).
The second one runs ``sanitize_threads.cpp``, which trains and predicts with several
threads, under the thread sanitizer. Both need g++ on Linux.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from sklearn_rnn.kernels import _build, instruction_sets

TESTS = Path(__file__).parents[1]
FILES = (
    "kernels/test_kernels_recurrence.py",
    "kernels/test_kernels_compiled.py",
    "training/test_training_fused.py",
    "training/test_training_fused_epochs.py",
    "training/test_training_fused_tampering.py",
    "training/test_training_fused_threads.py",
    "training/test_training_embedding_rows.py",
)
SANITIZERS = "-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"
DEBUGGING = "-O1", "-g", "-fno-omit-frame-pointer"
# Python is not built with the sanitizers, so theirs have to be there before it starts;
# and C++'s own library, whose exceptions they watch.
PRELOADED = "libasan.so", "libubsan.so", "libstdc++.so.6"


def build_sanitized(folder):
    """Return the path of a library with sanitizers."""
    kept = [flag for flag in _build.FLAGS if flag != "-O3"]
    _build.FLAGS = (*kept, *DEBUGGING, *SANITIZERS, "-DSEPARATE_ARRAYS")
    os.environ["LDFLAGS"] = " ".join(SANITIZERS)
    return _build.build(folder).library


def find_preloaded():
    """Return the paths of what has to be loaded before Python."""
    commands = (["g++", f"-print-file-name={name}"] for name in PRELOADED)
    return [subprocess.check_output(c, text=True).strip() for c in commands]


def run_tests(library, instruction_set, arguments):
    """Run the tests with a library and an instruction set; return their exit code."""
    print(f"{instruction_set}:", flush=True)
    environment = {
        **os.environ,
        "SKLEARN_RNN_LIBRARY": str(library),
        "SKLEARN_RNN_INSTRUCTION_SET": instruction_set,
        "LD_PRELOAD": " ".join(find_preloaded()),
        # Python and torch leave memory behind, and torch's threads start elsewhere.
        "ASAN_OPTIONS": "detect_leaks=0",
        "UBSAN_OPTIONS": "print_stacktrace=1",
        "OMP_NUM_THREADS": "1",
    }
    files = [str(TESTS / file) for file in FILES]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist"]
    command += ["--capture=sys", *files]  # reports are written to the true stderr
    return subprocess.run([*command, *arguments], env=environment).returncode


def run_threads(folder):
    """Build the program of threads with the thread sanitizer; return its exit code."""
    program = Path(folder) / "sanitize_threads"
    sources = _build.SOURCES
    flags = [flag for flag in _build.FLAGS if flag not in ("-O3", "-fPIC")]
    command = ["g++", *flags, *DEBUGGING, "-fsanitize=thread", f"-I{sources}"]
    command += ["-DINSTRUCTION_SET=baseline", "-DSETS(F)=F(baseline)"]
    command += ["-DSOURCE_HASH=none", "-DINTERFACE_HASH=none"]
    command += [str(TESTS / "kernels" / "sanitize_threads.cpp")]
    names = ("kernels.cpp", "library.cpp")
    command += [*(str(sources / name) for name in names), "-o", str(program)]
    subprocess.run(command, check=True)
    # Without random addresses, which older versions of the sanitizer cannot bear.
    fixed = ["setarch", "-R"] if shutil.which("setarch") else []
    return subprocess.run([*fixed, str(program)]).returncode


def main(arguments):
    """Run what the arguments ask for, and exit with 1 if anything was found."""
    split = arguments.index("--") if "--" in arguments else len(arguments)
    chosen, of_pytest = arguments[:split], arguments[split + 1 :]
    with tempfile.TemporaryDirectory() as folder:
        if chosen == ["threads"]:
            sys.exit(run_threads(folder))
        sets = chosen or instruction_sets()
        library = build_sanitized(Path(folder))
        codes = [run_tests(library, name, of_pytest) for name in sets]
    sys.exit(int(any(codes)))


if __name__ == "__main__":
    main(sys.argv[1:])
