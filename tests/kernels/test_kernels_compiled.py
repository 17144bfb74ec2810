"""The compiled kernels against torch's own recurrences."""

import pickle
import subprocess
import sys
import threading

import numpy as np
import pytest
import torch

from sklearn_rnn import RNNClassifier, RNNRegressor
from sklearn_rnn.kernels import (
    COMPILED_CELLS,
    choose_kernel,
    instruction_set,
    recurrence,
)

# steps, sequences, features, units: ones, fewer and more than fill registers
SIZES = [(1, 1, 1, 1), (5, 3, 2, 4), (7, 19, 3, 16), (12, 9, 5, 37), (30, 33, 4, 64)]
TOLERANCES = {torch.float32: 1e-5, torch.float64: 1e-12}


def draw(sizes, dtype, cell, ragged, seed=0):
    n_timesteps, n_sequences, n_features, n_units = sizes
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        numbers = torch.randn(shape, dtype=dtype, generator=generator)
        return numbers.requires_grad_()

    gates = {"gru": 3, "lstm": 4}.get(cell, 1) * n_units
    scale = n_units**-0.5
    shapes = [(gates, n_features), (gates, n_units), (gates,), (gates,)]
    weights = [(normal(*s).detach() * scale).requires_grad_() for s in shapes]
    x = normal(n_timesteps, n_sequences, n_features)
    n_states = 2 if cell == "lstm" else 1
    state = [normal(1, n_sequences, n_units) for _ in range(n_states)]
    lengths = None
    if ragged:
        lengths = torch.randint(1, n_timesteps + 1, (n_sequences,), generator=generator)
    return x, weights, state, lengths


def results(kernel, cell, x, weights, state, lengths, reverse):
    states, after = recurrence(cell, x, weights, state, lengths, reverse, kernel)
    if lengths is not None:
        valid = torch.arange(len(x))[:, None, None] < lengths[:, None]
        states = torch.where(valid, states, 0.0)
    factors = torch.sin(torch.arange(states.numel())).to(states.dtype)
    loss = (states * factors.view(states.shape)).sum()
    if lengths is None and not reverse:
        loss = loss + sum(part.square().sum() for part in after)
    return [states, *torch.autograd.grad(loss, [x, *weights, *state])]


@pytest.mark.thorough
@pytest.mark.parametrize("ragged", [False, True])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("cell", COMPILED_CELLS)
def test_states_and_gradients_are_those_of_torch(cell, dtype, sizes, reverse, ragged):
    drawn = draw(sizes, dtype, cell, ragged)
    expected, found = (
        results(kernel, cell, *drawn, reverse) for kernel in ("torch", "compiled")
    )
    for ours, torchs in zip(found, expected, strict=True):
        scale = 1 + torchs.abs().max().item()
        torch.testing.assert_close(ours, torchs, rtol=0, atol=TOLERANCES[dtype] * scale)


@pytest.mark.parametrize("cell", COMPILED_CELLS)
def test_numbers_far_out_are_those_of_torch(cell):
    x, weights, state, _ = draw((4, 3, 2, 16), torch.float32, cell, False)
    with torch.no_grad():
        for factor in (0.0, 1e-6, 30.0):
            ours, torchs = (
                recurrence(cell, x * factor, weights, state, kernel=k)[0]
                for k in ("compiled", "torch")
            )
            torch.testing.assert_close(ours, torchs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("cell", COMPILED_CELLS)
def test_nan_is_not_swallowed(cell, dtype):
    x, weights, state, _ = draw((3, 2, 1, 4), dtype, cell, False)
    broken = x.detach().clone()
    broken[1, 0] = float("nan")
    with torch.no_grad():
        states, _ = recurrence(cell, broken, weights, state, kernel="compiled")
    assert states[1:, 0].isnan().all()
    assert not states[:, 1].isnan().any()
    assert not states[0].isnan().any()


@pytest.mark.parametrize("cell", COMPILED_CELLS)
def test_a_sequence_computes_the_same_in_any_company(cell):
    x, weights, state, _ = draw((9, 21, 3, 20), torch.float32, cell, False)
    with torch.no_grad():
        together, _ = recurrence(cell, x, weights, state, kernel="compiled")
        for n in (0, 7, 20):
            one = [part[:, n : n + 1] for part in state]
            alone, _ = recurrence(
                cell, x[:, n : n + 1], weights, one, kernel="compiled"
            )
            assert torch.equal(alone, together[:, n : n + 1])


def test_a_state_stays_when_its_sequence_has_ended():
    x, weights, state, _ = draw((5, 3, 2, 4), torch.float64, "lstm", False)
    lengths = torch.tensor([5, 2, 1])
    with torch.no_grad():
        states, after = recurrence(
            "lstm", x, weights, state, lengths, kernel="compiled"
        )
        for n, length in enumerate(lengths):
            one = [part[:, n : n + 1] for part in state]
            _, own_end = recurrence(
                "lstm", x[:length, n : n + 1], weights, one, kernel="compiled"
            )
            for joint, own in zip(after, own_end, strict=True):
                assert torch.equal(joint[:, n : n + 1], own)
    assert states.isfinite().all()


def test_states_cannot_be_changed_before_the_way_back():
    x, weights, _, _ = draw((4, 2, 3, 4), torch.float64, "gru", False)
    states, _ = recurrence("gru", x, weights, kernel="compiled")
    with pytest.raises(RuntimeError, match="modified inplace"):
        states.zero_()
        states.sum().backward()


def test_python_goes_on_while_the_loops_run():
    """The loops release Python's lock: another thread counts meanwhile."""
    x, weights, _, _ = draw((2000, 64, 4, 64), torch.float32, "gru", False)
    count, done = [0], threading.Event()

    def go_on_counting():
        while not done.is_set():
            count[0] += 1

    counter = threading.Thread(target=go_on_counting)
    with torch.no_grad():
        recurrence("gru", x[:1], weights, kernel="compiled")  # compiled from here on
        counter.start()
        while not count[0]:
            pass
        before = count[0]
        recurrence("gru", x, weights, kernel="compiled")
        after = count[0]
    done.set()
    counter.join()
    assert after > before + 100


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", COMPILED_CELLS)
def test_estimators_learn_the_same_with_either_kernel(cell, bidirectional):
    rng = np.random.default_rng(0)
    X = [rng.normal(size=(n, 2)) for n in rng.integers(1, 9, size=30)]
    y = np.array([series.sum() for series in X])
    ours, torchs = (
        RNNRegressor(
            cell,
            8,
            n_layers=2,
            bidirectional=bidirectional,
            max_epochs=5,
            batch_size=8,
            dtype="float64",
            kernel=kernel,
            random_state=0,
        ).fit(X, y)
        for kernel in ("compiled", "torch")
    )
    assert (ours.kernel_, torchs.kernel_) == ("compiled", "torch")
    np.testing.assert_allclose(ours.loss_curve_, torchs.loss_curve_, rtol=1e-7)
    np.testing.assert_allclose(ours.predict(X), torchs.predict(X), rtol=1e-6)


def test_auto_takes_the_loops_for_small_networks_on_a_processor():
    single, double, half = "float32", "float64", "mixed"
    assert choose_kernel("auto", "gru", 32, single, "cpu") == "compiled"
    assert choose_kernel("auto", "gru", 4096, single, "cpu") == "torch"
    assert choose_kernel("auto", "lstm", 512, single, "cpu") == "torch"
    assert choose_kernel("auto", "lstm", 128, single, "cpu") == "compiled"
    assert choose_kernel("auto", "lstm", 128, single, "cpu", fused=False) == "torch"
    assert choose_kernel("auto", "lstm", 128, double, "cpu", fused=False) == "compiled"
    widest = instruction_set() == "avx512"
    in_double = "compiled" if widest else "torch"
    assert choose_kernel("auto", "gru", 512, double, "cpu") == in_double
    assert choose_kernel("auto", "gru", 32, half, "cpu") == "torch"
    assert choose_kernel("auto", "gru", 32, single, "cuda") == "torch"
    assert choose_kernel("torch", "gru", 32, single, "cpu") == "torch"


def test_the_loops_are_refused_on_another_device():
    with pytest.raises(ValueError, match='kernel="compiled" computes on the CPU'):
        choose_kernel("compiled", "gru", 32, "float32", "cuda")


def test_mixed_precision_is_torchs_alone():
    assert choose_kernel("auto", "gru", 32, "mixed", "cpu") == "torch"
    with pytest.raises(ValueError, match="computes in one precision"):
        choose_kernel("compiled", "gru", 32, "mixed", "cpu")


WITHOUT_LIBRARY = """
import pickle, sys
from pathlib import Path
import numpy as np
from sklearn_rnn.kernels import _library
_library._loaded = _library._Loaded(None, "there was no compiler")
from sklearn_rnn import RNNClassifier
X, y = np.zeros((6, 3)), np.arange(6) % 2
model = RNNClassifier(max_epochs=1).fit(X, y)
assert model.kernel_ == "torch"
try:
    RNNClassifier(kernel="compiled", max_epochs=1).fit(X, y)
except ImportError as error:
    assert "there was no compiler" in str(error)
else:
    raise AssertionError
loaded = pickle.loads(Path(sys.argv[1]).read_bytes())
assert loaded.kernel_ == "torch"
np.testing.assert_allclose(
    loaded.predict_proba(np.ones((2, 3))), np.load(sys.argv[2]), rtol=1e-5
)
"""


@pytest.mark.slow
def test_without_the_library_torch_computes_and_pickles_load(tmp_path):
    X, y = np.random.default_rng(0).normal(size=(6, 3)), np.arange(6) % 2
    model = RNNClassifier(kernel="compiled", max_epochs=1).fit(X, y)
    (tmp_path / "model.pickle").write_bytes(pickle.dumps(model))
    np.save(tmp_path / "expected.npy", model.predict_proba(np.ones((2, 3))))
    command = [sys.executable, "-W", "error", "-c", WITHOUT_LIBRARY]
    paths = [tmp_path / "model.pickle", tmp_path / "expected.npy"]
    subprocess.run([*command, *map(str, paths)], check=True)


def test_gradients_of_a_retained_graph_are_the_same_twice():
    x, weights, _, _ = draw((4, 2, 3, 4), torch.float64, "lstm", False)
    states, _ = recurrence("lstm", x, weights, kernel="compiled")
    first = torch.autograd.grad(states.sum(), [x, *weights], retain_graph=True)
    second = torch.autograd.grad(states.sum(), [x, *weights])
    for one, other in zip(first, second, strict=True):
        assert torch.equal(one, other)


@pytest.mark.thorough
@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_gradients_agree_with_differences(cell):
    x, weights, state, lengths = draw((4, 3, 2, 3), torch.float64, cell, True)

    def last_states(x, *weights_and_state):
        _, last = recurrence(
            cell, x, weights_and_state[:4], weights_and_state[4:], lengths,
            kernel="compiled",
        )  # fmt: skip
        return last

    assert torch.autograd.gradcheck(last_states, [x, *weights, *state])


@pytest.mark.parametrize("cell", COMPILED_CELLS)
def test_results_do_not_depend_on_the_number_of_threads(cell):
    x, weights, state, _ = draw((60, 100, 8, 40), torch.float32, cell, False)
    n_before, found = torch.get_num_threads(), []
    try:
        for n_threads in (1, 2, 3):
            torch.set_num_threads(n_threads)
            found.append(results("compiled", cell, x, weights, state, None, False))
    finally:
        torch.set_num_threads(n_before)
    for other in found[1:]:
        for one, another in zip(found[0], other, strict=True):
            assert torch.equal(one, another)
