"""Clips are varied while a network trains on them, and at no other time."""

import pickle

import numpy as np
import pytest

from sklearn_rnn import LogMelSpectrogram, RNNClassifier, make_windows
from sklearn_rnn.audio._augmentation import shift_samples

RATE = 16_000
EVERYTHING = {
    "noise_snr": (5.0, 30.0),
    "gain": 6.0,
    "shift": 0.05,
    "time_mask": 5,
    "frequency_mask": 8,
    "n_masks": 2,
}
ONE_BY_ONE = [
    {"noise_snr": (5.0, 30.0)},
    {"gain": 6.0},
    {"shift": 0.05},
    {"time_mask": 5},
    {"frequency_mask": 8},
]


def noises(*lengths):
    rng = np.random.default_rng(0)
    return [0.1 * rng.normal(size=n) for n in lengths]


def draw(X, seed=0, starts=None, lengths=None):
    starts = X.starts if starts is None else np.asarray(starts)
    lengths = X.lengths if lengths is None else np.asarray(lengths)
    return X.augmentation.draw(starts, lengths, np.random.RandomState(seed))


def drawn_waveforms(X, n_draws, clip=0):
    """Return what one clip is made of, many times."""
    random_state = np.random.RandomState(0)
    clips = np.array([clip])
    waveforms = X.augmentation._draw_waveforms
    return [waveforms(clips, random_state)[0] for _ in range(n_draws)]


def test_by_default_nothing_varies():
    assert LogMelSpectrogram().fit_transform(noises(1000)).augmentation is None
    options = {"n_masks": 5, "shift": 0, "time_mask": 0}
    assert LogMelSpectrogram(**options).fit_transform(noises(1000)).augmentation is None


@pytest.mark.parametrize("options", [*ONE_BY_ONE, EVERYTHING])
def test_each_option_changes_what_is_drawn_and_nothing_else(options):
    clips = noises(8000, 1000)
    clean = LogMelSpectrogram().fit_transform(clips).values
    mel = LogMelSpectrogram(**options)
    X = mel.fit_transform(clips)
    np.testing.assert_array_equal(X.values, clean)
    np.testing.assert_array_equal(mel.transform(clips).values, clean)
    assert mel.transform(clips).augmentation is None
    drawn = draw(X)
    assert drawn.shape == clean.shape
    assert drawn.dtype == np.float32
    assert np.abs(drawn - clean).max() > 0.1
    np.testing.assert_array_equal(X.values, clean)


@pytest.mark.parametrize("options", [*ONE_BY_ONE, EVERYTHING])
def test_the_same_random_state_draws_the_same_and_another_does_not(options):
    X = LogMelSpectrogram(**options).fit_transform(noises(8000, 4000))
    np.testing.assert_array_equal(draw(X, seed=3), draw(X, seed=3))
    assert (draw(X, seed=3) != draw(X, seed=4)).any()


def test_one_random_state_draws_anew_each_time():
    X = LogMelSpectrogram(gain=6.0).fit_transform(noises(8000))
    random_state = np.random.RandomState(0)
    one, other = (
        X.augmentation.draw(X.starts, X.lengths, random_state) for _ in range(2)
    )
    assert np.abs(one - other).max() > 0.01


def test_noise_has_the_ratio_that_was_asked_for():
    (clip,) = noises(8000)
    X = LogMelSpectrogram(noise_snr=(5.0, 20.0)).fit_transform([clip])
    ratios = []
    for waveform in drawn_waveforms(X, 200):
        noise = waveform - clip
        ratios.append(10 * np.log10(np.mean(clip**2) / np.mean(noise**2)))
    assert 4.8 < min(ratios) < 6
    assert 19 < max(ratios) < 20.2
    assert np.mean(ratios) == pytest.approx(12.5, abs=1)
    # White: no sample tells of the next.
    assert abs(np.corrcoef(noise[1:], noise[:-1])[0, 1]) < 0.05


def test_noise_goes_by_the_power_of_each_clip_and_silence_stays_silent():
    loud, quiet = noises(8000, 8000)
    X = LogMelSpectrogram(noise_snr=(10.0, 10.0), top_db=None).fit_transform(
        [loud, quiet / 1000, np.zeros(8000)]
    )
    (waveform,) = drawn_waveforms(X, 1, clip=1)
    noise = waveform - quiet / 1000
    ratio = np.mean((quiet / 1000) ** 2) / np.mean(noise**2)
    assert 10 * np.log10(ratio) == pytest.approx(10, abs=0.3)
    assert (draw(X)[X.starts[2] :] == -100).all()


def test_gain_moves_all_values_of_a_clip_by_as_much():
    X = LogMelSpectrogram(gain=6.0).fit_transform(noises(8000))
    changes = [draw(X, seed) - X.values for seed in range(100)]
    assert max(np.ptp(change) for change in changes) < 1e-3
    means = [change.mean() for change in changes]
    assert -6.001 < min(means) < -5
    assert 5 < max(means) < 6.001


@pytest.mark.parametrize("shift", [40, 0.0025])
def test_shift_moves_by_whole_samples_both_ways(shift):
    (clip,) = noises(8000)
    clip = clip.astype(np.float32)
    X = LogMelSpectrogram(shift=shift).fit_transform([clip])
    found = set()
    for waveform in drawn_waveforms(X, 300):
        zeros = int(np.argmax(waveform != 0)), int(np.argmax(waveform[::-1] != 0))
        by = zeros[0] - zeros[1]
        np.testing.assert_array_equal(waveform, shift_samples(clip, by))
        found.add(by)
    assert min(found) < -35 and max(found) > 35
    assert max(map(abs, found)) <= 40


@pytest.mark.parametrize("by", [-5, -4, -3, 0, 2, 3, 4])
def test_a_shift_beyond_the_clip_leaves_nothing(by):
    samples = np.array([1.0, 2.0, 3.0])
    padded = np.r_[np.zeros(9), samples, np.zeros(9)]
    np.testing.assert_array_equal(shift_samples(samples, by), padded[9 - by : 12 - by])


def runs(masked):
    """Return the lengths of the runs of True."""
    edges = np.flatnonzero(np.diff(np.r_[0, masked.astype(int), 0]))
    return edges[1::2] - edges[::2]


@pytest.mark.parametrize(
    "options, axis, most",
    [
        ({"time_mask": 7}, 0, 7),
        ({"time_mask": 0.07}, 0, 7),
        ({"frequency_mask": 9}, 1, 9),
    ],
)
def test_masks_are_stretches_of_the_mean_no_longer_than_asked(options, axis, most):
    (clip,) = noises(8000)
    X = LogMelSpectrogram(**options).fit_transform([clip.astype(np.float32)])
    widths, places = [], set()
    for seed in range(200):
        drawn = draw(X, seed)
        masked = (drawn != X.values).all(axis=1 - axis)
        assert len(runs(masked)) <= 1
        widths.append(masked.sum())
        places.update(np.flatnonzero(masked))
        covered = drawn[masked] if axis == 0 else drawn[:, masked]
        np.testing.assert_allclose(covered, X.values.mean(), atol=1e-4)
        kept = ~masked if axis == 0 else (slice(None), ~masked)
        np.testing.assert_array_equal(drawn[kept], X.values[kept])
    assert set(widths) == set(range(most + 1))
    assert places == set(range(X.values.shape[axis]))


def test_there_are_as_many_masks_as_asked():
    X = LogMelSpectrogram(time_mask=1, n_masks=3).fit_transform(noises(16_000))
    counts = [(draw(X, seed) != X.values).all(axis=1).sum() for seed in range(100)]
    assert max(counts) == 3


def test_masks_fit_into_short_clips():
    X = LogMelSpectrogram(time_mask=50, frequency_mask=40).fit_transform(noises(1, 300))
    for seed in range(20):
        assert np.isfinite(draw(X, seed)).all()


def test_masks_come_before_coefficients_differences_and_normalisation():
    options = {"n_mfcc": 5, "deltas": 1, "normalize": "standard"}
    X = LogMelSpectrogram(frequency_mask=10, **options).fit_transform(noises(8000))
    drawn = draw(X)
    assert np.abs(drawn - X.values).max() > 0.1
    np.testing.assert_allclose(drawn.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(drawn.std(axis=0), 1, atol=1e-4)


def test_stretches_are_cut_out_of_their_clips():
    X = LogMelSpectrogram(gain=6.0, deltas=1).fit_transform(noises(4000, 1, 8000, 2000))
    # The end of the third clip, the second, twice a part of the first.
    starts = [X.starts[2] + 40, X.starts[1], 3, 10]
    lengths = [11, 1, 5, 7]
    drawn = draw(X, starts=starts, lengths=lengths)
    assert drawn.shape == (24, 80)
    rows = np.concatenate(
        [np.arange(s, s + n) for s, n in zip(starts, lengths, strict=True)]
    )
    change = (drawn - X.values[rows])[:, :40]
    # Each clip has one gain, whichever part of it is asked for.
    for part in (change[:11], change[11:12], change[12:]):
        assert np.ptp(part) < 1e-3
    assert len({round(float(part), 3) for part in change[[0, 11, 12], 0]}) == 3


def test_windows_of_a_recording_vary_each_for_itself():
    (signal,) = noises(4000)
    windows = make_windows(signal, n_steps=1600, stride=800)
    X = LogMelSpectrogram(gain=6.0).fit_transform(windows)
    change = draw(X) - X.values
    gains = [change[start].mean() for start in X.starts]
    assert len(np.unique(np.round(gains, 2))) == len(windows) == 4


def test_the_variation_pickles():
    X = LogMelSpectrogram(**EVERYTHING).fit_transform(noises(8000))
    again = pickle.loads(pickle.dumps(X))
    np.testing.assert_array_equal(draw(again, 5), draw(X, 5))


def test_int16_and_float_clips_share_one_variation():
    clips = [(3000 * noises(800)[0]).astype(np.int16), noises(800)[0]]
    X = LogMelSpectrogram(gain=1.0).fit_transform(clips)
    assert np.abs(draw(X) - X.values).max() < 1.001


def test_a_network_trains_on_what_is_drawn_and_predicts_from_what_is_clean():
    clips, kinds = noises(*[1600] * 20), ["a", "b"] * 10
    options = {"hidden_size": 4, "max_epochs": 2, "random_state": 0}

    def proba(seed=0, **augmentation):
        mel = LogMelSpectrogram(**augmentation)
        model = RNNClassifier(**{**options, "random_state": seed})
        model.fit(mel.fit_transform(clips), kinds)
        return model.predict_proba(mel.transform(clips))

    assert (proba() != proba(gain=20.0)).any()
    np.testing.assert_array_equal(proba(gain=20.0), proba(gain=20.0))
    assert (proba(gain=20.0) != proba(time_mask=5)).any()
