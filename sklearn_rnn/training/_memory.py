"""Out-of-memory errors of all libraries as one, which says what to lower."""

from contextlib import contextmanager

import torch

# What torch says, on the CPU of each system and on GPUs.
PHRASES = (
    *("can't allocate memory", "not enough memory", "out of memory"),
    *("_STATUS_ALLOC_FAILED", "Tried to allocate", "Invalid buffer size"),
    # Sizes that no integer of the machine holds; the second in a TypeError.
    *("Storage size calculation overflowed", "Overflow when unpacking"),
)


def is_out_of_memory(error):
    """Return whether an error of NumPy, torch or Python is for lack of memory.

    Examples
    --------
    >>> from sklearn_rnn.training import is_out_of_memory
    >>> is_out_of_memory(MemoryError()), is_out_of_memory(RuntimeError("shapes"))
    (True, False)
    """
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    of_torch = isinstance(error, (RuntimeError, TypeError))
    return of_torch and any(phrase in str(error) for phrase in PHRASES)


@contextmanager
def note_batch_size(n_sequences, n_steps):
    """Note the size of the batch, with padding, on out-of-memory errors."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        note_batch(error, n_sequences, n_steps)
        raise


def note_batch(error, n_sequences, n_steps):
    """Note the size of the batch, with padding, on an out-of-memory error."""
    if is_out_of_memory(error) and not hasattr(error, "batch_size_and_steps"):
        error.batch_size_and_steps = n_sequences, n_steps


def raise_out_of_memory(error, name, sizes, advice):
    """Raise an out-of-memory error again as a MemoryError with advice.

    Parameters
    ----------
    error : Exception
        Of NumPy, torch or Python; nothing is raised for other reasons.
    name : str
        What ran out of memory.
    sizes : dict
        Parameters that memory grows with.
    advice : str
        What to do.
    """
    if not is_out_of_memory(error) or getattr(error, "is_explained", False):
        return
    batch = getattr(error, "batch_size_and_steps", None)
    where = "" if batch is None else f" with {batch[0]} sequences of {batch[1]} steps"
    values = ", ".join(f"{key}={value}" for key, value in sizes.items())
    first_line = (str(error).strip() or type(error).__name__).splitlines()[0]
    values = f" ({values})" if values else ""
    explained = MemoryError(
        f"{name} ran out of memory{where}{values}. {advice} [{first_line}]"
    )
    vars(explained)["is_explained"] = True  # outer calls leave it as it is
    raise explained from error
