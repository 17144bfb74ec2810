import numpy as np

from sklearn_rnn import RNNClassifier
from sklearn_rnn.estimators.tasks import choose_batch_size, update_budget


def test_long_sequences_get_more_updates():
    budgets = [update_budget(np.full(100, n_steps)) for n_steps in (1, 64, 256, 10**6)]
    assert budgets == [600, 600, 1200, 1800]
    assert update_budget(np.array([1, 10**6, 2] * 20)) == 600


def test_one_batch_gets_fewer_updates_whatever_its_size():
    for n_sequences, n_steps in ((32, 5), (2, 5), (32, 1000)):
        assert update_budget(np.full(n_sequences, n_steps)) == 200


def test_batches_grow_with_the_number_of_sequences():
    sizes = [choose_batch_size(n) for n in range(33, 3000)]
    assert sorted(set(sizes)) == [8, 16, 32, 64]
    assert sizes == sorted(sizes)
    assert [choose_batch_size(n) for n in (1, 20, 32)] == [1, 20, 32]


def fit_as(method, n_sequences):
    X, y = np.zeros((n_sequences, 3, 1)), np.arange(n_sequences) % 2
    model = RNNClassifier(max_epochs=1, hidden_size=2, random_state=0)
    getattr(model, method)(X, y)
    return model.batch_size_, str(next(model.module_.parameters()).dtype)


def test_data_of_one_batch_are_computed_in_float64():
    assert fit_as("fit", 2) == (2, "torch.float64")
    assert fit_as("fit", 32) == (32, "torch.float64")
    assert fit_as("fit", 33) == (8, "torch.float32")


def test_a_stream_is_computed_in_float32_whatever_its_first_call():
    assert fit_as("partial_fit", 2) == (2, "torch.float32")
    assert fit_as("partial_fit", 33) == (8, "torch.float32")
