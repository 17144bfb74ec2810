"""Clips drawn anew at random: noise, loudness, place in time, masks."""

from typing import NamedTuple

import numpy as np

from sklearn_rnn.preprocessing._mel import extract
from sklearn_rnn.sequences import flat_rows


class Augmentation(NamedTuple):
    """What is drawn for a clip, in samples, frames, bands and dB.

    Parameters
    ----------
    noise_snr : tuple of float or None
        Lowest and highest signal-to-noise ratio, in dB; None adds no noise.
    gain : float
        Largest change of loudness, in dB.
    shift : int
        Largest shift, in samples.
    time_mask : int
        Most frames of a mask.
    frequency_mask : int
        Most mel bands of a mask.
    n_masks : int
        Masks of each kind.
    """

    noise_snr: tuple[float, float] | None
    gain: float
    shift: int
    time_mask: int
    frequency_mask: int
    n_masks: int

    @property
    def is_off(self):
        """Whether clips always stay as they are."""
        return self.noise_snr is None and not any(self[1:5])


class ClipVariation:
    """Draws the features of clips anew, as a network trains on them.

    Parameters
    ----------
    waveforms : list of ndarray of shape (n_samples_i,), float
        The clips, mono, at the rate of `settings`.
    settings : MelSettings
        How features are made of them.
    augmentation : Augmentation
        What is drawn.

    References
    ----------
    Park et al., "SpecAugment: a simple data augmentation method for automatic
    speech recognition", Interspeech 2019 (masks).

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_rnn import LogMelSpectrogram
    >>> tone = np.sin(np.arange(1600))
    >>> X = LogMelSpectrogram(gain=6.0).fit_transform([tone, tone])
    >>> drawn = X.augmentation.draw(X.starts, X.lengths, np.random.RandomState(0))
    >>> drawn.shape == X.values.shape
    True
    """

    def __init__(self, waveforms, settings, augmentation):
        self.settings = settings
        self.augmentation = augmentation
        n_samples = np.array([len(waveform) for waveform in waveforms], dtype=np.int64)
        self.bounds = np.append(0, np.cumsum(n_samples))
        self.samples = np.concatenate(waveforms, dtype=np.float32, casting="same_kind")
        n_frames = settings.count_frames(n_samples)
        self.first_rows = np.cumsum(n_frames) - n_frames

    def draw(self, starts, lengths, random_state):
        """Draw stretches of clips.

        Parameters
        ----------
        starts, lengths : ndarray of int of shape (n_stretches,)
            First row and number of rows of each, as of the clips' frames, one
            clip after the other. None reaches across clips.
        random_state : numpy.random.RandomState
            Source of randomness.

        Returns
        -------
        ndarray of shape (n_rows, n_features), float32
            The rows of one stretch after the other. Stretches of one clip see
            it varied in one way.
        """
        clips = np.searchsorted(self.first_rows, starts, side="right") - 1
        clips, place = np.unique(clips, return_inverse=True)
        waveforms = self._draw_waveforms(clips, random_state)
        masks = _Masks(self.augmentation, random_state)
        rows, n_frames = extract(waveforms, self.settings, change=masks.cover)
        offsets = np.cumsum(n_frames) - n_frames - self.first_rows[clips]
        return rows[flat_rows(starts + offsets[place], lengths)]

    def _draw_waveforms(self, clips, random_state):
        to = self.augmentation
        n = len(clips)
        # Numbers of a kind at once; seeded noise, as RandomState's takes 4 times as
        # long.
        gains = 10 ** (random_state.uniform(-to.gain, to.gain, size=n) / 20)
        shifts = random_state.randint(-to.shift, to.shift + 1, size=n)
        ratios = random_state.uniform(*(to.noise_snr or (0.0, 0.0)), size=n)
        noise = np.random.default_rng(random_state.randint(2**31, size=4))
        waveforms = []
        for clip, gain, shift, ratio in zip(clips, gains, shifts, ratios, strict=True):
            clean = self.samples[self.bounds[clip] : self.bounds[clip + 1]]
            waveform = shift_samples(clean, shift)
            if to.noise_snr is not None:
                loudness = np.sqrt(np.mean(np.square(clean, dtype=np.float64)))
                level = np.float32(loudness * 10 ** (-ratio / 20))
                waveform += level * noise.standard_normal(len(clean), dtype=np.float32)
            waveform *= np.float32(gain)
            waveforms.append(waveform)
        return waveforms


class _Masks:
    """Covers stretches of time and of bands with the mean of the clip."""

    def __init__(self, augmentation, random_state):
        self.augmentation = augmentation
        self.random_state = random_state

    def cover(self, levels, lengths):
        """Mask the log-mel values of some clips in place."""
        to = self.augmentation
        if not to.time_mask and not to.frequency_mask:
            return
        ends = np.cumsum(lengths)
        for begin, end in zip(ends - lengths, ends, strict=True):
            clip = levels[begin:end]
            mean = clip.mean()
            # Both drawn before either is covered: masks do not change the mean.
            for first, last in self._spans(len(clip), to.time_mask):
                clip[first:last] = mean
            for first, last in self._spans(clip.shape[1], to.frequency_mask):
                clip[:, first:last] = mean

    def _spans(self, n, most):
        size = self.augmentation.n_masks
        widths = self.random_state.randint(0, min(most, n) + 1, size=size)
        firsts = self.random_state.randint(0, n - widths + 1)
        return zip(firsts, firsts + widths, strict=True)


def shift_samples(samples, by):
    """Move a waveform in time; zeros move in.

    Parameters
    ----------
    samples : ndarray of shape (n_samples,)
        The waveform.
    by : int
        Samples later, or if negative earlier.

    Returns
    -------
    ndarray of shape (n_samples,)
        A copy.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_rnn.preprocessing._augmentation import shift_samples
    >>> shift_samples(np.array([1, 2, 3]), 1), shift_samples(np.array([1, 2, 3]), -1)
    (array([0, 1, 2]), array([2, 3, 0]))
    """
    moved = np.zeros_like(samples)
    if by >= 0:
        moved[by:] = samples[: len(samples) - by] if by < len(samples) else 0
    else:
        moved[:by] = samples[-by:]
    return moved
