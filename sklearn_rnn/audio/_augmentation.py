"""Augmentation of clips: noise, loudness, shifts in time, masks."""

from typing import NamedTuple

import numpy as np

from sklearn_rnn.audio._mel import MelSettings, extract
from sklearn_rnn.sequences import flat_rows


class Augmentation(NamedTuple):
    """Limits of what is sampled for a clip, in samples, frames, mel bands and dB.

    noise_snr : lowest and highest signal-to-noise ratio, dB; None adds no noise
    gain : largest change of loudness, dB
    shift : largest shift, samples
    time_mask, frequency_mask : most frames, and most mel bands, of a mask
    n_masks : masks of each kind
    """

    noise_snr: tuple[float, float] | None
    gain: float
    shift: int
    time_mask: int
    frequency_mask: int
    n_masks: int

    @property
    def is_off(self) -> bool:
        """Whether clips always stay as they are."""
        return self.noise_snr is None and not any(self[1:5])


class ClipAugmenter:
    """Samples augmented features of clips, as a network trains on them.

    The waveforms, float of shape (n_samples_i,), are mono at the rate of `settings`.

    References
    ----------
    Park et al., "SpecAugment: a simple data augmentation method for automatic
    speech recognition", Interspeech 2019 (masks).
    """

    def __init__(
        self,
        waveforms: list[np.ndarray],
        settings: MelSettings,
        augmentation: Augmentation,
    ) -> None:
        self.settings = settings
        self.augmentation = augmentation
        n_samples = np.array([len(waveform) for waveform in waveforms], dtype=np.int64)
        self.bounds = np.append(0, np.cumsum(n_samples))
        self.samples = np.concatenate(waveforms, dtype=np.float32, casting="same_kind")
        n_frames = settings.count_frames(n_samples)
        self.first_rows = np.cumsum(n_frames) - n_frames

    def draw(
        self,
        starts: np.ndarray,
        lengths: np.ndarray,
        random_state: np.random.RandomState,
    ) -> np.ndarray:
        """Return augmented features of segments of clips, float32 (n_rows, n_features).

        `starts` and `lengths` count frames, those of one clip after another; no segment
        spans clips. Segments of one clip are augmented in the same way.
        """
        clips = np.searchsorted(self.first_rows, starts, side="right") - 1
        clips, indices = np.unique(clips, return_inverse=True)
        waveforms = self._draw_waveforms(clips, random_state)
        masks = _Masks(self.augmentation, random_state)
        rows, n_frames = extract(waveforms, self.settings, change=masks.cover)
        offsets = np.cumsum(n_frames) - n_frames - self.first_rows[clips]
        return rows[flat_rows(starts + offsets[indices], lengths)]

    def _draw_waveforms(self, clips, random_state):
        to = self.augmentation
        n = len(clips)
        # Noise comes from a Generator: RandomState takes 4 times as long.
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


# The name in pickles of version 0.6.
ClipVariation = ClipAugmenter


class _Masks:
    """Covers random segments of time and frequency with the mean of the clip."""

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
    """Return a waveform moved `by` samples later (or earlier), zero-padded."""
    moved = np.zeros_like(samples)
    if by >= 0:
        moved[by:] = samples[: len(samples) - by] if by < len(samples) else 0
    else:
        moved[:by] = samples[-by:]
    return moved
