"""The processor that benchmarks run on: name, cores in use, instruction set."""

import os
import platform
from pathlib import Path

import torch

from sklearn_rnn.kernels import instruction_set, set_instruction_set


def processor_name():
    """Return the processor's name as the system knows it."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.split(":", 1)[1] for line in lines if line.startswith("model name")]
    return names[0].strip() if names else platform.processor() or platform.machine()


def use_one_core():
    """Keep this process, and those that it starts, on one core and one thread."""
    torch.set_num_threads(1)
    # Gradients through 168 steps become denormal, which processors compute slowly:
    # torch's own network took five times as long. XLA and TensorFlow flush them too.
    torch.set_flush_denormal(True)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def add_instruction_set_option(parser):
    """Add ``--instruction-set`` to a parser of options."""
    parser.add_argument(
        "--instruction-set",
        metavar="NAME",
        help="of the compiled kernels, such as avx2; by default the widest",
    )


def use_instruction_set(name):
    """Choose the instruction set, here and in processes that are started from here."""
    if name is not None:
        set_instruction_set(name)
        os.environ["SKLEARN_RNN_INSTRUCTION_SET"] = name


def print_machine():
    """Print the processor and what the compiled kernels use of it."""
    kernels = instruction_set() or "not available"
    print(f"{processor_name()}; compiled kernels: {kernels}; torch {torch.__version__}")
