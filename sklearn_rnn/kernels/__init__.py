"""The recurrence itself: one layer, one direction."""

from sklearn_rnn.kernels._aligned import n_missing
from sklearn_rnn.kernels._cells import CELLS, N_GATES
from sklearn_rnn.kernels._choice import (
    KERNELS,
    choose_kernel,
    compiled_kernels_available,
    computing,
    current_processes,
    kernel_threads,
    rename_kernel,
    usable_kernel,
)
from sklearn_rnn.kernels._directions import reverse_steps
from sklearn_rnn.kernels._interface import (
    COMPILED_CELLS,
    COMPILED_LOSSES,
    POOLING_CODES,
    VALUES_TYPES,
    check_array,
    make_struct,
    make_structs,
    run_kernel,
)
from sklearn_rnn.kernels._interrupts import deferred_interrupts, import_whole
from sklearn_rnn.kernels._library import (
    instruction_set,
    instruction_sets,
    library,
    library_compiler,
    library_error,
    set_instruction_set,
)
from sklearn_rnn.kernels._random import CounterGenerator
from sklearn_rnn.kernels._recurrence import is_traced, recurrence

__all__ = [
    "CELLS",
    "COMPILED_CELLS",
    "COMPILED_LOSSES",
    "CounterGenerator",
    "KERNELS",
    "N_GATES",
    "POOLING_CODES",
    "VALUES_TYPES",
    "check_array",
    "choose_kernel",
    "compiled_kernels_available",
    "computing",
    "current_processes",
    "deferred_interrupts",
    "import_whole",
    "instruction_set",
    "instruction_sets",
    "is_traced",
    "kernel_threads",
    "library",
    "library_compiler",
    "library_error",
    "make_struct",
    "make_structs",
    "n_missing",
    "recurrence",
    "rename_kernel",
    "reverse_steps",
    "run_kernel",
    "set_instruction_set",
    "usable_kernel",
]
