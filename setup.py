"""Compilation of the kernels when the package is built or installed.

All else is in ``pyproject.toml``. Without a compiler the package is complete, and torch
computes instead. The environment variable ``SKLEARN_RNN_COMPILE`` set to 0 compiles
nothing; set to 1 it makes a failure an error.
"""

import contextlib
import importlib.util
import os
from pathlib import Path

from setuptools import Command, Distribution, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build import build

PACKAGE = Path("sklearn_rnn") / "kernels"


def load_build():
    """Return the package's own module, which is not installed yet."""
    spec = importlib.util.spec_from_file_location("_build", PACKAGE / "_build.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def remove_library(kernels, folder):
    """Remove the library of an earlier build."""
    for suffix in kernels.SUFFIXES.values():
        with contextlib.suppress(OSError):
            (folder / f"_kernels{suffix}").unlink()


class BuildKernels(Command):
    """Compile the kernels: into the wheel, or in place for an editable installation."""

    description = "compile the kernels"
    user_options = []
    editable_mode = False
    library = None

    def initialize_options(self):
        """Leave the folder to the command that builds."""
        self.build_lib = None

    def finalize_options(self):
        """Take the folder from it."""
        self.set_undefined_options("build", ("build_lib", "build_lib"))

    def run(self):
        """Compile, or say why not."""
        wish = os.environ.get("SKLEARN_RNN_COMPILE", "auto")
        if wish not in ("auto", "0", "1"):
            raise ValueError(f"SKLEARN_RNN_COMPILE={wish!r} is neither 0, 1 nor auto.")
        folder = PACKAGE if self.editable_mode else Path(self.build_lib) / PACKAGE
        kernels = load_build()
        if wish == "0":
            remove_library(kernels, folder)
            self.warn("SKLEARN_RNN_COMPILE=0: no kernels are compiled; torch computes.")
            return
        try:
            built = kernels.build(folder)
        except (kernels.BuildError, OSError) as error:
            if wish == "1":
                raise
            remove_library(kernels, folder)
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "_kernels.txt").write_text(str(error), encoding="utf-8")
            self.warn(
                f"{error}\nThe package is installed WITHOUT compiled kernels. It "
                "works, and torch computes, more slowly for small networks."
            )
            return
        (folder / "_kernels.txt").unlink(missing_ok=True)
        self.library = built.library
        names = ", ".join(built.instruction_sets)
        self.announce(f"compiled kernels for {names}: {built.library}", 2)
        for name, text in built.left_out.items():
            self.warn(f"{built.compiler} left out {name}: {text}")

    def get_source_files(self):
        """Return what goes into a source distribution."""
        return sorted(path.as_posix() for path in (PACKAGE / "src").iterdir())

    def get_outputs(self):
        """Return the library's place in the wheel."""
        if self.library is None or self.editable_mode:
            return []
        return [str(self.library)]

    def get_output_mapping(self):
        """Return nothing: no file is copied."""
        return {}


class BuildWithKernels(build):
    """Build the package and its kernels."""

    sub_commands = [*build.sub_commands, ("build_kernels", None)]


class DistributionWithKernels(Distribution):
    """A package that belongs to a platform once its library is there."""

    def has_ext_modules(self):
        """Return whether there is a library."""
        return self.get_command_obj("build_kernels").library is not None


class WheelOfPlatform(bdist_wheel):
    """A wheel for one platform and every Python, which the library knows nothing of."""

    def run(self):
        """Build first: only then is it known whether there is a library."""
        self.run_command("build")
        self.root_is_pure = not self.distribution.has_ext_modules()
        super().run()

    def get_tag(self):
        """Return ``py3-none-<platform>``, or ``any`` without a library."""
        if not self.distribution.has_ext_modules():
            return "py3", "none", "any"
        self.root_is_pure = False
        platform = super().get_tag()[2]
        if platform.endswith("universal2"):  # the Python is; the library is not
            _, *architecture = os.environ.get("ARCHFLAGS", "").rsplit("-arch ", 1)
            machine = architecture[0].strip() if architecture else os.uname().machine
            platform = platform.replace("universal2", machine)
        library = self.get_finalized_command("build_kernels").library
        system = {".dll": "win", ".dylib": "macosx"}.get(library.suffix)
        fits = not platform.startswith(("win", "macosx"))
        if not (platform.startswith(system) if system else fits):
            raise ValueError(
                f"{library.name} was compiled for another system than {platform!r}. "
                "Pass the wheel's: --config-setting=--build-option=--plat-name=..."
            )
        return "py3", "none", platform


setup(
    distclass=DistributionWithKernels,
    cmdclass={
        "build": BuildWithKernels,
        "build_kernels": BuildKernels,
        "bdist_wheel": WheelOfPlatform,
    },
)
