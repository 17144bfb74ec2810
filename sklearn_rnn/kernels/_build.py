"""Compilation of the kernels: one shared library, with the code of several processors.

The standard library is enough, and nothing is imported from this package: ``setup.py``
runs this file before the package is installed. By hand::

    python sklearn_rnn/kernels/_build.py [folder]
"""

import hashlib
import importlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).parent
SOURCES = FOLDER / "src"
# Never -march=native, so that a library runs on every processor of its architecture,
# and no -ffast-math, which takes NaN for impossible.
FLAGS = (
    *("-std=c++17", "-O3", "-fPIC", "-fvisibility=hidden", "-pthread"),
    *("-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math"),
)
# By architecture, the instruction sets and their flags, the narrowest first. Every
# compiler has to know the first one.
INSTRUCTION_SETS = {
    "x86_64": {
        "baseline": (),
        "avx2": ("-mavx2", "-mfma"),
        "avx512": (
            *("-mavx512f", "-mavx512dq", "-mavx512bw", "-mavx512vl", "-mfma"),
            "-mprefer-vector-width=512",
        ),
    },
    "aarch64": {"neon": ()},
    "other": {"baseline": ()},
}
# Python would take a file _kernels.so for a module.
SUFFIXES = {"linux": ".lib.so", "macos": ".dylib", "windows": ".dll"}
# Tried in turn. C++'s own library comes along where the linker can bring it: the
# system's may be older than the compiler's. Torch has loaded one of its own, so no name
# of C++ is to be seen outside.
STATIC = ("-static-libstdc++", "-static-libgcc", "-Wl,-S")  # without debug information
HIDDEN = "-Wl,--version-script,{hidden}"
LINK_FLAGS = {
    "linux": (
        (*STATIC, HIDDEN, "-Wl,--exclude-libs,ALL"),
        (*STATIC, HIDDEN),
        STATIC,
        (),
    ),
    "macos": (("-Wl,-S", "-Wl,-unexported_symbol,__Z*"), ("-Wl,-S",), ()),
    "windows": (("-static", "-Wl,-S"), ("-static",), ()),
}
HASH_LABEL = b"sources of the kernels: "


class BuildError(Exception):
    """The kernels were not compiled; the message says what was tried."""


class NoCompilerError(BuildError):
    """No C++ compiler was found."""


class Build(NamedTuple):
    """A library that was compiled.

    Attributes
    ----------
    library : pathlib.Path
        The file.
    compiler : str
        The command.
    instruction_sets : tuple of str
        The widest first.
    left_out : dict
        By instruction set that the compiler cannot do, its message.
    """

    library: Path
    compiler: str
    instruction_sets: tuple
    left_out: dict


class Target(NamedTuple):
    """What a compiler compiles for."""

    architecture: str
    system: str


def build(folder=FOLDER, sources=SOURCES):
    """Compile the kernels, and put the library into a folder.

    The compiler is that of the environment variable ``CXX``, or else the first of
    ``c++``, ``g++``, ``clang++`` and the package ``ziglang`` that compiles them.
    ``CXXFLAGS`` and ``LDFLAGS`` are heeded, on macOS ``ARCHFLAGS`` too.

    Parameters
    ----------
    folder : pathlib.Path
        Where the library goes. One that is there is replaced at once, or left as it
        was.
    sources : pathlib.Path
        Folder of the sources.

    Returns
    -------
    Build
        The library, and how it was compiled.

    Raises
    ------
    NoCompilerError
        If there is no compiler.
    BuildError
        If none of them compiles the sources.
    """
    failures, found = [], False
    for command in _find_compilers():
        with tempfile.TemporaryDirectory() as workspace:
            try:
                built = _build_with(command, Path(workspace), Path(sources))
            except FileNotFoundError:
                failures.append(f"{shlex.join(command)}: not found")
                continue
            except OSError as error:
                failures.append(f"{shlex.join(command)}: {error}")
                continue
            except BuildError as error:
                found = True
                failures.append(f"{shlex.join(command)}: {error}")
                continue
            return built._replace(library=_install(built.library, Path(folder)))
    tried = "\n".join(f"  {failure}" for failure in failures)
    if found:
        raise BuildError(f"The kernels could not be compiled. Tried:\n{tried}")
    raise NoCompilerError(f"There is no C++ compiler. Tried:\n{tried}")


def hash_sources(sources=SOURCES):
    """Return a hash of all sources and flags.

    Parameters
    ----------
    sources : pathlib.Path
        Folder of the sources.

    Returns
    -------
    str
        Of 32 hexadecimal digits.
    """
    flags = repr((FLAGS, INSTRUCTION_SETS, LINK_FLAGS))
    digest = hashlib.sha256(flags.encode())
    for path in _list_sources(sources):
        text = _read_source(path)
        digest.update(b"%s %d\n" % (path.name.encode(), len(text)) + text)
    return digest.hexdigest()[:32]


def hash_of_interface(sources=SOURCES):
    """Return a hash of the structs that both sides have to agree on.

    Parameters
    ----------
    sources : pathlib.Path
        Folder of the sources.

    Returns
    -------
    str
        Of 16 hexadecimal digits.
    """
    text = _read_source(Path(sources) / "interface.hpp")
    return hashlib.sha256(text).hexdigest()[:16]


def _read_source(path):
    """Return a source as the repository has it, whatever ends a line here."""
    return path.read_bytes().replace(b"\r\n", b"\n")


def read_hash(library):
    """Return the hash of the sources that a library was compiled from.

    Parameters
    ----------
    library : pathlib.Path
        The file; it is not loaded.

    Returns
    -------
    str or None
        None if there is no such file, or it holds no hash.
    """
    try:
        content = Path(library).read_bytes()
    except FileNotFoundError:
        return None
    found = re.search(HASH_LABEL + b"([0-9a-f]{32})", content)
    return found and found[1].decode()


def find_library(folder=FOLDER):
    """Return the path of this system's library in a folder, whether it is there or not.

    Parameters
    ----------
    folder : pathlib.Path
        Where it was built.

    Returns
    -------
    pathlib.Path
        The file.
    """
    system = {"win32": "windows", "darwin": "macos"}.get(sys.platform, "linux")
    return Path(folder) / f"_kernels{SUFFIXES[system]}"


def build_if_changed(folder=FOLDER, sources=SOURCES):
    """Compile the kernels unless the library there is of these sources.

    Of several processes, one compiles and the others wait for it.

    Parameters
    ----------
    folder, sources : pathlib.Path
        Of the library, and of the sources.

    Returns
    -------
    Build or None
        None if nothing had to be done.

    Raises
    ------
    BuildError
        If they cannot be compiled.
    OSError
        If the folder cannot be written to.
    """
    library, expected = find_library(folder), hash_sources(sources)
    if read_hash(library) == expected:
        return None
    with _locked(library.with_name("_kernels.lock")):
        if read_hash(library) == expected:
            return None
        return build(folder, sources)


@contextmanager
def _locked(path):
    """Hold a file's lock, which the system lets go of when a process dies."""
    with path.open("a") as file:
        if sys.platform == "win32":
            msvcrt = importlib.import_module("msvcrt")
            file.seek(0)
            while True:
                try:
                    msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)  # waits for 10 s
                    break
                except OSError as error:
                    if error.errno != 36:  # deadlock avoided: still locked
                        raise
        else:
            fcntl = importlib.import_module("fcntl")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield  # closing the file unlocks it


def _list_sources(sources):
    paths = [*Path(sources).glob("*.cpp"), *Path(sources).glob("*.hpp")]
    return sorted(paths, key=lambda path: path.name)


def _find_compilers():
    """Return the commands to try, as lists of words."""
    if os.environ.get("CXX"):  # chosen: another one may compile for another system
        return [shlex.split(os.environ["CXX"], posix=os.name == "posix")]
    # Without the paths that hide packages from isolated builds.
    zig = [sys.executable, "-I", "-m", "ziglang"]
    commands, known = [], set()
    for name in ("c++", "g++", "clang++"):
        program = os.path.realpath(shutil.which(name) or name)
        if program not in known:
            known.add(program)
            commands.append([name])
    has_zig = subprocess.run([*zig, "version"], capture_output=True, check=False)
    return commands + [[*zig, "c++"]] * (has_zig.returncode == 0)


def _build_with(command, workspace, sources):
    """Return a `Build` in the workspace."""
    compiler = [*command, *shlex.split(os.environ.get("CXXFLAGS", ""))]
    macros = _read_macros(compiler)
    if any("zig" in word for word in command) and "__AVX__" in macros:
        # Of itself, zig compiles for the processor at hand.
        compiler.append("-mcpu=baseline")
    if "__APPLE__" in macros:
        compiler += _read_architecture_flags()
        macros = _read_macros(compiler)
    target = _find_target(macros)
    objects, left_out = _compile_sets(compiler, target, workspace, sources)
    widest_first = tuple(reversed(objects))
    sets = "".join(f" F({name})" for name in widest_first)
    defines = (
        f"-DSETS(F)={sets}",
        f"-DSOURCE_HASH={hash_sources(sources)}",
        f"-DINTERFACE_HASH={hash_of_interface(sources)}",
    )
    door = workspace / "library.o"
    [failure] = _run_all(
        [_compile_command(compiler, target, sources / "library.cpp", door, defines)]
    )
    if failure:
        raise BuildError(failure)
    # Instances of C++'s own templates are taken from the first object that has them:
    # none of those that a processor may not be able to run comes before the others.
    library = _link(compiler, target, [door, *objects.values()], workspace)
    return Build(library, shlex.join(command), widest_first, left_out)


def _read_macros(compiler):
    """Return the names of the macros that a compiler defines by itself."""
    command = [*compiler, "-dM", "-E", "-x", "c++", os.devnull]
    done = subprocess.run(command, capture_output=True, check=False, env=_in_english())
    if done.returncode:
        raise BuildError(_first_lines(done.stderr.decode(errors="replace")))
    return set(re.findall(r"#define (\w+)", done.stdout.decode(errors="replace")))


def _read_architecture_flags():
    """Return ``ARCHFLAGS`` if they name a single architecture."""
    flags = shlex.split(os.environ.get("ARCHFLAGS", ""))
    return flags if flags.count("-arch") == 1 else []


def _find_target(macros):
    known = [name for name in INSTRUCTION_SETS if f"__{name}__" in macros]
    system = "linux"  # or another one with its linker
    if "__APPLE__" in macros:
        system = "macos"
    elif "_WIN32" in macros:
        system = "windows"
    return Target(known[0] if known else "other", system)


def _compile_sets(compiler, target, workspace, sources):
    """Return objects by instruction set, and the messages of those left out."""
    sets = INSTRUCTION_SETS[target.architecture]
    objects = {name: workspace / f"kernels_{name}.o" for name in sets}
    failures = _run_all(
        _compile_command(
            compiler,
            target,
            sources / "kernels.cpp",
            objects[name],
            [*flags, f"-DINSTRUCTION_SET={name}"],
        )
        for name, flags in sets.items()
    )
    left_out = {name: text for name, text in zip(sets, failures, strict=True) if text}
    narrowest = next(iter(sets))
    if narrowest in left_out:
        raise BuildError(left_out[narrowest])
    return {name: objects[name] for name in sets if name not in left_out}, left_out


def _compile_command(compiler, target, source, output, flags):
    # Windows' code can lie anywhere, and clang refuses to hear of it.
    ours = [f for f in FLAGS if (f, target.system) != ("-fPIC", "windows")]
    return [*compiler, *ours, *flags, "-c", str(source), "-o", str(output)]


def _link(compiler, target, objects, workspace):
    library = workspace / f"_kernels{SUFFIXES[target.system]}"
    before = [*compiler, *shlex.split(os.environ.get("LDFLAGS", ""))]
    before += ["-dynamiclib" if target.system == "macos" else "-shared", "-pthread"]
    hidden = workspace / "hidden.map"
    hidden.write_text("{ local: _Z*; };\n")
    for flags in LINK_FLAGS[target.system]:
        flags = [flag.format(hidden=hidden) for flag in flags]
        command = [*before, *flags, *map(str, objects), "-o", str(library)]
        [failure] = _run_all([command])
        if failure is None:
            return library
    raise BuildError(failure)


def _run_all(commands):
    """Run commands side by side; return what each says, None where it succeeds."""
    running = []
    try:
        for command in commands:
            # Temporary files: a full pipe would block the compiler.
            output = tempfile.TemporaryFile()
            options = {"stdout": output, "stderr": output, "stdin": subprocess.DEVNULL}
            process = subprocess.Popen(command, env=_in_english(), **options)
            running.append((process, output))
        return [_finish(process, output) for process, output in running]
    finally:
        for process, output in running:
            if process.poll() is None:  # interrupted
                process.kill()
                process.wait()
            output.close()


def _in_english():
    """Return the environment in which compilers write English messages."""
    return {**os.environ, "LC_ALL": "C"}


def _finish(process, output):
    if process.wait() == 0:
        return None
    output.seek(0)
    return _first_lines(output.read().decode(errors="replace"))


def _first_lines(text, n_lines=3):
    """Return the first lines of a compiler's message that tell of errors."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if "error" in line.lower()]
    return "\n    ".join((errors or lines)[:n_lines]) or "failed without a message"


def _install(library, folder):
    """Move a library into a folder so that others see the old one or the new one."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / library.name
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        shutil.copy(library, temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def main(folder=FOLDER):
    """Compile the kernels and print how.

    Parameters
    ----------
    folder : pathlib.Path
        Where the library goes.
    """
    built = build(folder)
    print(f"{built.library}: {', '.join(built.instruction_sets)} ({built.compiler})")
    for name, text in built.left_out.items():
        print(f"left out {name}:\n    {text}")


if __name__ == "__main__":
    try:
        main(*map(Path, sys.argv[1:2]))
    except BuildError as error:
        sys.exit(str(error))
