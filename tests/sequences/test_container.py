import base64
import pickle
import re
import sys
import zlib

import numpy as np
import pytest
from sklearn.model_selection import KFold, cross_val_score
from sklearn.preprocessing import StandardScaler
from sklearn.utils import _safe_indexing

from sklearn_rnn import InvalidSequenceError, SequenceArray, sequences
from sklearn_rnn.sequences import (
    Transforms,
    _container,
    check_sequences,
    coverage,
    covered_chunks,
    find_distinct,
    locate,
    mean_and_scale,
    shares_rows,
    value_range,
)


def windows(n_rows=10, n_steps=4, n_features=2):
    values = np.random.RandomState(0).randn(n_rows, n_features)
    starts = np.arange(n_rows - n_steps + 1)
    return SequenceArray(values, starts, np.full(len(starts), n_steps))


def ragged():
    return SequenceArray(np.arange(12.0).reshape(6, 2), [0, 2, 3], [2, 1, 3])


def test_shape_is_that_of_the_padded_array():
    assert ragged().shape == (3, 3, 2)
    assert ragged().ndim == 3
    assert len(ragged()) == 3
    assert np.asarray(ragged()).shape == ragged().shape


def test_an_array_of_it_is_padded_with_nan():
    dense = np.asarray(ragged())
    np.testing.assert_array_equal(dense[1], [[4, 5], [np.nan] * 2, [np.nan] * 2])
    np.testing.assert_array_equal(dense[2], [[6, 7], [8, 9], [10, 11]])


def test_an_array_of_integers_becomes_floats_only_where_padding_needs_it():
    values = np.arange(4)[:, None]
    assert np.asarray(SequenceArray(values, [0, 2], [2, 2])).dtype == values.dtype
    assert np.asarray(SequenceArray(values, [0, 2], [2, 1])).dtype == np.float64


def test_an_array_beyond_the_limit_is_refused_with_a_hint(monkeypatch):
    monkeypatch.setattr(_container, "MAX_DENSE_BYTES", 100)
    with pytest.raises(MemoryError, match="give the SequenceArray itself"):
        np.asarray(windows())


def test_values_cannot_be_changed_through_it_but_stay_the_users():
    values = np.zeros((4, 1))
    X = SequenceArray(values, [0], [4])
    with pytest.raises(ValueError, match="read-only"):
        X.values[0] = 1
    values[0] = 1


@pytest.mark.parametrize(
    ("key", "places"),
    [
        (slice(1, 3), [1, 2]),
        ([0, 2], [0, 2]),
        (np.array([2, 0, 0]), [2, 0, 0]),
        (np.array([True, False, True]), [0, 2]),
        ([True, False, True], [0, 2]),
        ((np.array([1, 2]), Ellipsis), [1, 2]),
        (([1], slice(None)), [1]),
        ([], []),
        (slice(0, 0), []),
    ],
)
def test_a_selection_is_that_of_the_sequences(key, places):
    X = ragged()
    assert isinstance(X[key], SequenceArray)
    assert len(X[key]) == len(places)
    for one, place in zip(X[key], places, strict=True):
        np.testing.assert_array_equal(one, X[place])


def test_selections_share_the_table():
    X = windows()
    assert np.shares_memory(X[[0, 3]].values, X.values)
    assert np.shares_memory(X[2:4][0], X.values)


def test_one_sequence_is_an_array():
    assert ragged()[-1].tolist() == [[6, 7], [8, 9], [10, 11]]
    assert ragged()[np.int64(1)].shape == (1, 2)
    with pytest.raises(IndexError):
        ragged()[3]


def test_steps_and_features_are_not_indexed():
    with pytest.raises(IndexError, match=r"np\.asarray"):
        ragged()[:, 0]


def test_scikit_learn_splits_it():
    X = windows(20)
    y = np.asarray(X)[:, -1, 0]

    class LastStep(StandardScaler):
        def fit(self, X, y=None):
            return self

        def score(self, X, y):
            return float((X.last_step()[:, 0] == y).all())

    assert _safe_indexing(X, np.array([1, 3])).shape == (2, 4, 2)
    assert cross_val_score(LastStep(), X, y, cv=KFold(3)).tolist() == [1, 1, 1]


def test_gather_puts_time_first_and_repeats_the_last_step():
    batch = ragged().gather([2, 1])
    assert batch.shape == (3, 2, 2)
    assert batch[:, 0].tolist() == [[6, 7], [8, 9], [10, 11]]
    assert batch[:, 1].tolist() == [[4, 5]] * 3
    assert ragged().gather([0], dtype=np.float32).dtype == np.float32


@pytest.mark.parametrize("is_scaled", [False, True])
def test_last_steps_of_some_features_are_columns_of_all(is_scaled):
    X = SequenceArray(np.arange(24.0).reshape(8, 3), [0, 3, 2], [3, 5, 1])
    if is_scaled:
        X = X.scale(np.array([1.0, 2, 3]), np.array([2.0, 4, 8]))
    found = X.last_steps(4, np.array([2, 0]))
    np.testing.assert_array_equal(found, X.last_steps(4)[:, :, [2, 0]])
    assert found.shape == (3, 4, 2)


def test_last_step_is_that_of_each_sequence():
    assert ragged().last_step().tolist() == [[2, 3], [4, 5], [10, 11]]


def test_scaling_applies_wherever_steps_are_read():
    X = ragged().scale(np.array([1.0, 0.0]), np.array([2.0, 3.0]))
    assert X[1].tolist() == [[6, 15]]
    assert X.last_step()[1].tolist() == [6, 15]
    assert X.gather([1])[0, 0].tolist() == [6, 15]
    assert np.asarray(X)[1, 0].tolist() == [6, 15]
    assert X.read_rows([2]).tolist() == [[6, 15]]


def test_scaling_twice_is_one_after_the_other():
    once = ragged().scale(np.array([1.0, 0.0]), np.array([2.0, 3.0]))
    twice = once.scale(np.array([5.0, -1.0]), np.array([0.5, 4.0]))
    expected = (np.asarray(once) - [5, -1]) * [0.5, 4]
    np.testing.assert_allclose(np.asarray(twice), expected)


def test_coverage_counts_the_sequences_over_each_row():
    X = SequenceArray(np.zeros((6, 1)), [0, 1, 1], [2, 3, 1])
    assert coverage(X).tolist() == [1, 3, 1, 1, 0, 0]
    assert coverage(X, np.array([1, 2, 0.5])).tolist() == [1, 3.5, 2, 2, 0, 0]


def test_only_covered_rows_are_visited(monkeypatch):
    monkeypatch.setattr(_container, "CHUNK_ROWS", 2)
    X = SequenceArray(np.arange(7.0)[:, None], [1, 5], [2, 1])
    chunks = [
        (rows.tolist(), values.ravel().tolist()) for rows, values in covered_chunks(X)
    ]
    assert chunks == [([1], [1]), ([2], [2]), ([5], [5])]


@pytest.mark.parametrize("weights", [None, np.array([1.0, 0, 2.5, 0, 1, 1, 3])])
def test_mean_and_scale_are_those_of_all_steps_written_out(weights, monkeypatch):
    monkeypatch.setattr(_container, "CHUNK_ROWS", 3)
    X = windows().scale(np.array([0.5, 1.0]), np.array([2.0, -1.0]))
    steps = np.asarray(X).reshape(-1, 2)
    counts = None if weights is None else weights.repeat(4)
    reference = StandardScaler().fit(steps, sample_weight=counts)
    mean, scale = mean_and_scale(X, weights)
    np.testing.assert_allclose(mean, reference.mean_)
    np.testing.assert_allclose(scale, reference.scale_)


@pytest.mark.parametrize("in_order", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
def test_coverage_in_blocks_is_that_of_each_sequence_alone(
    in_order, weighted, monkeypatch
):
    monkeypatch.setattr(_container, "CHUNK_ROWS", 7)
    monkeypatch.setattr(_container, "SEQUENCES_PER_BLOCK", 5)
    rng = np.random.RandomState(0)
    starts, lengths = rng.randint(0, 80, 60), rng.randint(1, 20, 60)
    if in_order:
        starts, lengths = np.sort(starts), np.full(60, 11)
    weights = rng.rand(60) if weighted else None
    expected = np.zeros(100)
    for i in range(60):
        expected[starts[i] : starts[i] + lengths[i]] += weights[i] if weighted else 1
    X = SequenceArray(np.zeros((100, 1)), starts, lengths)
    np.testing.assert_allclose(coverage(X, weights), expected, atol=1e-12)
    rows = np.concatenate([rows for rows, _ in covered_chunks(X)])
    np.testing.assert_array_equal(rows, np.flatnonzero(expected > 0.01))


def test_a_chunk_of_a_wide_table_has_fewer_rows():
    X = SequenceArray(np.zeros((500, 10_000), np.float32), [0], [500])
    assert max(steps.size for _, steps in covered_chunks(X)) <= 2**20


def test_few_bits_are_kept_and_nobody_sees_them():
    # 200 + 100 would overflow in 8 bits.
    starts, lengths = np.array([100, 200], np.int32), np.array([200, 100], np.uint8)
    X = pickle.loads(pickle.dumps(SequenceArray(np.zeros((300, 1)), starts, lengths)))
    assert X._starts.dtype == np.int32
    assert X._lengths.dtype == np.uint8
    assert X.starts.dtype == X.lengths.dtype == X.ends.dtype == np.int64
    assert X.lengths_of(slice(None)).dtype == np.int64
    assert X.ends.tolist() == [300, 300]
    assert X.gather([0, 1]).shape == (200, 2, 1)
    with pytest.raises(InvalidSequenceError, match="covers rows 200 to 300"):
        X._replace(values=np.zeros((299, 1)), starts=X._starts[1:], lengths=[100])


def test_starts_of_other_small_types_do_not_overflow():
    starts, lengths = np.array([100], np.int8), np.array([100], np.int8)
    assert SequenceArray(np.zeros((300, 1)), starts, lengths).ends.tolist() == [200]


@pytest.mark.parametrize("time_index", [range(5), np.array([0, 1, 3, 3, 7])])
def test_a_time_index_is_that_of_the_rows(time_index):
    X = SequenceArray(np.zeros((5, 1)), [0, 2], [2, 3], time_index=time_index)
    assert X[1:].time_index is time_index
    assert X[1:].times_of(np.array([4, 0])).tolist() == [time_index[4], 0]


def test_statistics_ignore_rows_that_no_selected_sequence_covers():
    values = np.arange(10.0)[:, None]
    X = SequenceArray(values, [0, 5], [5, 5])[:1]
    values[5:] = np.nan
    assert mean_and_scale(X)[0] == 2


def test_a_constant_feature_gets_a_scale_of_one():
    X = SequenceArray(np.full((1000, 1), 0.1), [0], [1000])
    assert mean_and_scale(X)[1] == 1


def test_statistics_of_a_large_offset_keep_their_digits():
    values = 1e8 + np.random.RandomState(0).randn(1000, 1)
    mean, scale = mean_and_scale(SequenceArray(values, [0], [1000]))
    np.testing.assert_allclose(mean, values.mean(0), rtol=1e-12)
    np.testing.assert_allclose(scale, values.std(0), rtol=1e-6)


def test_windows_share_rows_and_blocks_do_not():
    assert shares_rows(windows())
    assert not shares_rows(ragged())
    assert not shares_rows(windows(n_steps=1))


def test_a_sequence_drawn_twice_is_no_shared_row():
    assert not shares_rows(ragged()[[0, 0, 2]])


def test_copies_are_found_by_value_whatever_their_order():
    X = np.array([[1.0, 2.0], [-0.0, 3.0], [1.0, 2.0], [0.0, 3.0], [1.0, 2.5]])
    first, copy_of = find_distinct(check_sequences(X))
    again, _ = find_distinct(check_sequences(X[::-1]))
    np.testing.assert_array_equal(X[first], X[::-1][again])
    np.testing.assert_array_equal(X[first][copy_of], X)
    assert sorted(np.bincount(copy_of)) == [1, 2, 2]


def test_a_row_is_located_in_the_first_sequence_over_it():
    assert locate(windows(), 5) == (2, 3)


@pytest.mark.parametrize(
    ("X", "text"),
    [
        (ragged(), "SequenceArray(3 sequences of 1 to 3 steps, 2 features, float64)"),
        (windows(n_features=1), "SequenceArray(7 sequences of 4 steps, 1 feature, "),
        (ragged()[:0], "SequenceArray(0 sequences of no steps, 2 features, "),
        (
            SequenceArray(np.zeros((2, 5)), [0], [2], feature_names="abcde"),
            "2 steps, 5 features: a, b, c, d, …, float64)",
        ),
    ],
)
def test_its_text_is_short(X, text):
    assert text in repr(X)


def test_what_ids_stand_for_goes_with_every_selection():
    tokens = np.array(["<pad>", "<unk>", "word"], dtype=object)
    X = SequenceArray(
        np.array([[2], [1], [2]]), [0, 1], [1, 2], transforms=Transforms(tokens=tokens)
    )
    assert X[[1]].tokens is tokens
    assert X.scale(np.zeros(1), np.ones(1)).tokens is tokens
    assert pickle.loads(pickle.dumps(X)).tokens.tolist() == tokens.tolist()
    assert windows().tokens is None


def test_it_pickles_at_the_size_of_the_table():
    X = windows(n_rows=1000, n_steps=200)
    stored = pickle.dumps(X)
    assert len(stored) < 2.5 * X.values.nbytes
    np.testing.assert_array_equal(np.asarray(pickle.loads(stored)), np.asarray(X))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.zeros(3), [0], [1]), "must be 2-D"),
        ((np.zeros((3, 1)), [0, 1], [1]), "of one length"),
        ((np.zeros((3, 1)), [0, 1], [1, 0]), r"X\[1\] is an empty sequence"),
        ((np.zeros((3, 1)), [0, 2], [1, 2]), "sequence 1 covers rows 2 to 4"),
        ((np.zeros((3, 1)), [-1], [2]), "covers rows -1 to 1"),
        ((np.zeros((3, 1)), [0], [3], ["a", "b"]), "2 feature names for 1 features"),
    ],
)
def test_impossible_containers_are_refused(arguments, message):
    with pytest.raises(InvalidSequenceError, match=message):
        SequenceArray(*arguments)


class Doubled:
    """Draws the rows' own numbers, and twice them."""

    def draw(self, starts, lengths, random_state):
        rows = [np.arange(s, s + n) for s, n in zip(starts, lengths, strict=True)]
        rows = np.concatenate(rows)
        return np.column_stack([rows, 2 * rows]).astype(np.float32)


def test_augmented_sequences_are_those_that_were_asked_for_through_the_map():
    X = SequenceArray(np.zeros((9, 2)), [0, 3, 5], [3, 2, 4])
    X = X.with_transforms(augmentation=Doubled()).scale(
        np.array([1.0, 0.0]), np.array([1.0, 0.5])
    )
    augmented = X[[2, 0]].augment(np.array([1, 0]), np.random.RandomState(0))
    assert augmented[0].tolist() == [[-1, 0], [0, 1], [1, 2]]
    assert augmented[1].tolist() == [[4, 5], [5, 6], [6, 7], [7, 8]]
    assert augmented.augmentation is None
    assert (X[2] == [-1, 0]).all()


def test_augmentation_survives_selection_and_pickles():
    X = SequenceArray(np.zeros((5, 2)), [0, 3], [3, 2])
    X = X.with_transforms(augmentation=Doubled())
    again = pickle.loads(pickle.dumps(X[[1]]))
    assert again.augment(np.array([0]), None)[0].tolist() == [[3, 6], [4, 8]]


def test_without_augmentation_sequences_stay_as_they_are():
    X = SequenceArray(np.arange(5.0)[:, None], [0, 3], [3, 2])
    assert X.augment(np.array([1]), None)[0].ravel().tolist() == [3, 4]


# A container of version 0.6 (compressed, base 85): two features, one scaled and
# differenced in units of its own, one of categories; rows in the order of time.
OLD_PICKLE = (
    "c-n=M!AiqG5Qb-yrj4~?L69Cj_7qSQJP57yW*~x|rKIg@g6&#22^diDVzsb0$4B(;8|ZABYPGc;NMJMb"
    "|NG5M9t&^p24tajqU%2QrD#hboQU5hTy%Nlw7WMV_CvuXs*Usf^RbkEimzB#+aehZQ(YywGf4Vz=w~@q"
    "X-iJhD3(b#rcz~Pm8eRh=jU=4p0LF__>5;*cbQvsjS&V#W%c58$hF7__i+3&$(xEDq33xgpA^~4g%~^I"
    "Rt<oG0VWi{f+Cc_hBYX|Iv}M3E3oxFL3w(MNrz2x-v4n9wifwT^j!3KOnR1jCA+hf_X{aagPGbyF&`B*"
    "O`Xo!856t9!&PY2$<jU=kjG*??RW594b7=4<FGqPNc$2I?MC|Iif0?4B`__YH)HwSR>IlKp-h*JGOXI4"
    "CUU%LQ|mnM0bTa*h)!oI>c1%(n&N_fPIgC=PLb0&imBH50*b&34g"
)


def test_containers_that_earlier_versions_pickled_load():
    X = pickle.loads(zlib.decompress(base64.b85decode(OLD_PICKLE)))
    assert repr(X) == (
        "SequenceArray(3 sequences of 1 to 3 steps, 2 features: a, b, float64)"
    )
    assert X.gather([2, 1])[:, 0].tolist() == [[-2, 7], [-1, 9], [0, 11]]
    assert X[2].tolist() == [[10, 7], [14, 9], [18, 11]]
    assert X.time_index == range(6)
    assert X.categories[1].tolist() == ["x", "y"]
    assert pickle.loads(pickle.dumps(X))[2].tolist() == X[2].tolist()


def everything():
    X = windows().scale(np.array([1.0, 0.0]), np.array([2.0, 1.0]))
    X = X.difference(np.array([0]), np.full((len(X), 1), 2.0))
    X = X.with_transforms(
        augmentation=Doubled(),
        tokens=np.array(["a"], dtype=object),
        categories={1: np.array(["x"], dtype=object)},
    )
    return X._replace(time_index=np.arange(len(X.values)))


@pytest.mark.parametrize(
    ("old", "expected", "new"),
    [
        ("moments", lambda X: X.time_index, "X.time_index"),
        ("knows_time", lambda X: True, "X.time_index is not None"),
        ("moments_of", lambda X: X.times_of, "X.times_of"),
        ("center", lambda X: X.transforms.scaling.center, "scaling.center"),
        ("factor", lambda X: X.transforms.scaling.factor, "scaling.factor"),
        ("anchored", lambda X: X.differenced, "X.differenced"),
        ("units", lambda X: X.transforms.differencing.units, "differencing.units"),
        ("relative_to_last", lambda X: X.difference, "X.difference"),
        ("variation", lambda X: X.augmentation, "X.augmentation"),
        ("vary", lambda X: X.augment, "X.augment"),
    ],
)
def test_attributes_of_earlier_versions_warn_and_work(old, expected, new):
    X = everything()
    with pytest.warns(FutureWarning, match=re.escape(new)) as caught:
        value = getattr(X, old)
    assert caught[0].filename == __file__
    assert value is expected(X) or value == expected(X)


@pytest.mark.parametrize(
    ("old", "arguments"),
    [
        ("coverage", ()),
        ("mean_and_scale", ()),
        ("locate", (3,)),
        ("are_apart", ()),
        ("shares_rows", ()),
        ("value_range", ()),
    ],
)
def test_methods_of_earlier_versions_warn_and_work(old, arguments):
    X = everything()
    with pytest.warns(FutureWarning, match=rf"sequences\.{old}\(X"):
        value = getattr(X, old)(*arguments)
    expected = getattr(sequences, old)(X, *arguments)
    np.testing.assert_array_equal(value, expected)


def test_other_methods_of_earlier_versions_warn_and_work():
    X = everything()
    with pytest.warns(FutureWarning, match="describe_position"):
        assert X.describe_place(3, 1) == "sequence 0, step 3, feature 1"
    with pytest.warns(FutureWarning, match="check_sequences"):
        known = X.with_range(-5.0, 5.0)
    assert value_range(known) == (-5, 5) != value_range(X)


def test_arguments_of_earlier_versions_warn_and_work():
    X = everything()
    old = {
        "center": X.transforms.scaling.center,
        "factor": X.transforms.scaling.factor,
        "moments": X.time_index,
        "anchored": X.differenced,
        "units": X.transforms.differencing.units,
        "tokens": X.tokens,
        "variation": X.augmentation,
        "categories": X.categories,
    }
    with pytest.warns(FutureWarning) as caught:
        Y = SequenceArray(X.values, X.starts, X.lengths, **old)
    assert len(caught) == len(old)
    np.testing.assert_array_equal(Y.gather([0, 2]), X.gather([0, 2]))
    assert Y.time_index is X.time_index
    for name in ("tokens", "augmentation", "categories"):
        assert getattr(Y, name) is getattr(X, name)
    with pytest.raises(TypeError, match="unexpected argument 'colour'"):
        SequenceArray(X.values, X.starts, X.lengths, colour=1)


def test_other_attributes_do_not_exist():
    assert not hasattr(windows(), "iloc")


def test_its_size_is_that_of_its_arrays():
    small, large = windows(n_rows=10), windows(n_rows=1010)
    n_bytes = 1000 * (2 + 1 + 1) * 8  # of two features, starts and lengths
    assert sys.getsizeof(large) - sys.getsizeof(small) == n_bytes
