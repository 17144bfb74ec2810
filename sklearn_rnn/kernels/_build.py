"""Compilation of the kernels: one shared library with code for several processors.

Only the standard library is imported: ``setup.py`` runs this file before the package is
installed. Manually::

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
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple

FOLDER = Path(__file__).parent
SOURCES = FOLDER / "src"
# Never -march=native, so that a library runs on every processor of its architecture,
# and no -ffast-math, which assumes that no value is NaN.
FLAGS = (
    *("-std=c++17", "-O3", "-fPIC", "-fvisibility=hidden", "-pthread"),
    *("-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math"),
)
# Instruction sets and their flags by architecture, the narrowest first. Every compiler
# has to support the first one.
INSTRUCTION_SETS: dict[str, dict[str, tuple[str, ...]]] = {
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
# Python would import a file _kernels.so as a module.
SUFFIXES = {"linux": ".lib.so", "macos": ".dylib", "windows": ".dll"}
# Tried in turn. The C++ standard library is linked statically where the linker can do
# so: that of the system may be older than the compiler. torch has loaded another copy
# of it, so no C++ symbol may be exported.
STATIC = ("-static-libstdc++", "-static-libgcc", "-Wl,-S")  # without debug information
HIDDEN = "-Wl,--version-script,{hidden}"
LINK_FLAGS: dict[str, tuple[tuple[str, ...], ...]] = {
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
    """The kernels were not compiled; the message lists the attempts."""


class NoCompilerError(BuildError):
    """No C++ compiler was found."""


class Build(NamedTuple):
    """A compiled library."""

    library: Path
    compiler: str  # the command
    instruction_sets: tuple[str, ...]  # the widest first
    left_out: dict[str, str]  # error messages, by unsupported instruction set


class Target(NamedTuple):
    """Platform that a compiler compiles for."""

    architecture: str
    system: str


def build(folder: Path = FOLDER, sources: Path = SOURCES) -> Build:
    """Compile the kernels, and install the library in a folder.

    The compiler is that of the environment variable ``CXX``, or else the first of
    ``c++``, ``g++``, ``clang++`` and the package ``ziglang`` that compiles them.
    ``CXXFLAGS`` and ``LDFLAGS`` are used, on macOS ``ARCHFLAGS`` too. A previous
    library is replaced atomically, or kept if compilation fails.

    Raises
    ------
    NoCompilerError
        If there is no compiler.
    BuildError
        If none of them compiles the sources.
    """
    failures: list[str] = []
    found = False
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


def hash_sources(sources: Path = SOURCES) -> str:
    """Return a hash of all sources and flags, 32 hexadecimal digits."""
    flags = repr((FLAGS, INSTRUCTION_SETS, LINK_FLAGS))
    digest = hashlib.sha256(flags.encode())
    for path in _list_sources(sources):
        text = _load_source(path)
        digest.update(b"%s %d\n" % (path.name.encode(), len(text)) + text)
    return digest.hexdigest()[:32]


def hash_of_interface(sources: Path = SOURCES) -> str:
    """Return a hash of the C interface, 16 hexadecimal digits."""
    text = _load_source(Path(sources) / "interface.hpp")
    return hashlib.sha256(text).hexdigest()[:16]


def _load_source(path: Path) -> bytes:
    """Return a source with the line ends of the repository."""
    return path.read_bytes().replace(b"\r\n", b"\n")


def load_hash(library: Path) -> str | None:
    """Return the hash of the sources of a library, without executing its code.

    None if there is no such file, or it contains no hash.
    """
    try:
        content = Path(library).read_bytes()
    except FileNotFoundError:
        return None
    found = re.search(HASH_LABEL + b"([0-9a-f]{32})", content)
    return found and found[1].decode()


def find_library(folder: Path = FOLDER) -> Path:
    """Return the path of a folder's library, whether it exists or not."""
    system = {"win32": "windows", "darwin": "macos"}.get(sys.platform, "linux")
    return Path(folder) / f"_kernels{SUFFIXES[system]}"


def build_if_changed(folder: Path = FOLDER, sources: Path = SOURCES) -> Build | None:
    """Compile the kernels; return None if the library has the hash of the sources.

    Of several processes, one compiles and the others wait for it.

    Raises
    ------
    BuildError
        If they cannot be compiled.
    OSError
        If the folder cannot be written to.
    """
    library, expected = find_library(folder), hash_sources(sources)
    if load_hash(library) == expected:
        return None
    with _locked(library.with_name("_kernels.lock")):
        if load_hash(library) == expected:
            return None
        return build(folder, sources)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the lock of a file, which the system releases if a process dies."""
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


def _list_sources(sources: Path) -> list[Path]:
    paths = [*Path(sources).glob("*.cpp"), *Path(sources).glob("*.hpp")]
    return sorted(paths, key=lambda path: path.name)


def _find_compilers() -> list[list[str]]:
    """Return the commands to try, as lists of words."""
    if os.environ.get("CXX"):  # no others: they may compile for another system
        return [shlex.split(os.environ["CXX"], posix=os.name == "posix")]
    # -I: without the paths that hide packages from isolated builds.
    zig = [sys.executable, "-I", "-m", "ziglang"]
    commands, programs = [], set()
    for name in ("c++", "g++", "clang++"):
        program = os.path.realpath(shutil.which(name) or name)
        if program not in programs:
            programs.add(program)
            commands.append([name])
    has_zig = subprocess.run([*zig, "version"], capture_output=True, check=False)
    return commands + [[*zig, "c++"]] * (has_zig.returncode == 0)


def _build_with(command: list[str], workspace: Path, sources: Path) -> Build:
    """Build the library in the workspace."""
    compiler = [*command, *shlex.split(os.environ.get("CXXFLAGS", ""))]
    macros = _get_macros(compiler)
    if any("zig" in word for word in command) and "__AVX__" in macros:
        # By default, zig compiles for the processor of this machine.
        compiler.append("-mcpu=baseline")
    if "__APPLE__" in macros:
        compiler += _get_architecture_flags()
        macros = _get_macros(compiler)
    target = _find_target(macros)
    objects, left_out = _compile_sets(compiler, target, workspace, sources)
    widest_first = tuple(reversed(objects))
    sets = "".join(f" F({name})" for name in widest_first)
    defines = (
        f"-DSETS(F)={sets}",
        f"-DSOURCE_HASH={hash_sources(sources)}",
        f"-DINTERFACE_HASH={hash_of_interface(sources)}",
    )
    interface = workspace / "library.o"
    command_of_interface = _compile_command(
        compiler, target, sources / "library.cpp", interface, defines
    )
    [failure] = _run_all([command_of_interface])
    if failure:
        raise BuildError(failure)
    # The linker keeps the instances of C++ templates of the first object that has them:
    # objects with instructions that a processor may not support come last.
    library = _link(compiler, target, [interface, *objects.values()], workspace)
    return Build(library, shlex.join(command), widest_first, left_out)


def _get_macros(compiler: list[str]) -> set[str]:
    """Return the names of the predefined macros of a compiler."""
    command = [*compiler, "-dM", "-E", "-x", "c++", os.devnull]
    done = subprocess.run(command, capture_output=True, check=False, env=_in_english())
    if done.returncode:
        raise BuildError(_first_lines(done.stderr.decode(errors="replace")))
    return set(re.findall(r"#define (\w+)", done.stdout.decode(errors="replace")))


def _get_architecture_flags() -> list[str]:
    """Return ``ARCHFLAGS`` if they name a single architecture."""
    flags = shlex.split(os.environ.get("ARCHFLAGS", ""))
    return flags if flags.count("-arch") == 1 else []


def _find_target(macros: set[str]) -> Target:
    known = [name for name in INSTRUCTION_SETS if f"__{name}__" in macros]
    system = "linux"  # or another one with the same linker
    if "__APPLE__" in macros:
        system = "macos"
    elif "_WIN32" in macros:
        system = "windows"
    return Target(known[0] if known else "other", system)


def _compile_sets(
    compiler: list[str], target: Target, workspace: Path, sources: Path
) -> tuple[dict[str, Path], dict[str, str]]:
    """Return objects by instruction set, and error messages of the others."""
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


def _compile_command(
    compiler: list[str],
    target: Target,
    source: Path,
    output: Path,
    flags: Iterable[str],
) -> list[str]:
    # Code for Windows is always position-independent, and clang rejects the flag.
    ours = [f for f in FLAGS if (f, target.system) != ("-fPIC", "windows")]
    return [*compiler, *ours, *flags, "-c", str(source), "-o", str(output)]


def _link(
    compiler: list[str], target: Target, objects: Sequence[Path], workspace: Path
) -> Path:
    library = workspace / f"_kernels{SUFFIXES[target.system]}"
    before = [*compiler, *shlex.split(os.environ.get("LDFLAGS", ""))]
    before += ["-dynamiclib" if target.system == "macos" else "-shared", "-pthread"]
    hidden = workspace / "hidden.map"
    hidden.write_text("{ local: _Z*; };\n")
    for templates in LINK_FLAGS[target.system]:
        flags = [template.format(hidden=hidden) for template in templates]
        command = [*before, *flags, *map(str, objects), "-o", str(library)]
        [failure] = _run_all([command])
        if failure is None:
            return library
    raise BuildError(failure)


def _run_all(commands: Iterable[list[str]]) -> list[str | None]:
    """Run commands in parallel; return their error messages, None on success."""
    running: list[tuple[subprocess.Popen, IO[bytes]]] = []
    try:
        for command in commands:
            # Temporary files: a full pipe would block the compiler.
            output = tempfile.TemporaryFile()
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=_in_english(),
            )
            running.append((process, output))
        return [_finish(process, messages) for process, messages in running]
    finally:
        for process, messages in running:
            if process.poll() is None:  # interrupted
                process.kill()
                process.wait()
            messages.close()


def _in_english() -> dict[str, str]:
    """Return the environment in which compilers write English messages."""
    return {**os.environ, "LC_ALL": "C"}


def _finish(process: subprocess.Popen, messages: IO[bytes]) -> str | None:
    if process.wait() == 0:
        return None
    messages.seek(0)
    return _first_lines(messages.read().decode(errors="replace"))


def _first_lines(text: str, n_lines: int = 3) -> str:
    """Return the first lines of a compiler's message that contain "error"."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if "error" in line.lower()]
    return "\n    ".join((errors or lines)[:n_lines]) or "failed without a message"


def _install(library: Path, folder: Path) -> Path:
    """Move a library into a folder atomically."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / library.name
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        shutil.copy(library, temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def main(folder: Path = FOLDER) -> None:
    """Compile the kernels and print how."""
    built = build(folder)
    print(f"{built.library}: {', '.join(built.instruction_sets)} ({built.compiler})")
    for name, text in built.left_out.items():
        print(f"left out {name}:\n    {text}")


if __name__ == "__main__":
    try:
        main(*map(Path, sys.argv[1:2]))
    except BuildError as error:
        sys.exit(str(error))
