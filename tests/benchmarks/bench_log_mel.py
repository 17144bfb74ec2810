"""How fast LogMelSpectrogram is: seconds of sound a second, and beside librosa.

    python tests/benchmarks/bench_log_mel.py

Times real time is seconds of sound a second of the processor, on one thread: of
waveforms in memory at 16 kHz, float32, with default parameters (40 mel bands,
windows of 25 ms, 10 ms apart); of a draw, with noise, gain, shift and masks. librosa
makes the same numbers, its log included, clip by clip; the two take turns, and the
ratio is that of the medians: above 1, LogMelSpectrogram is faster.
"""

import argparse
import os
import statistics
import time

# Before NumPy is imported, which reads it once.
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import librosa
import numpy as np

from sklearn_rnn import LogMelSpectrogram

RATE = 16_000
N_FFT, N_WINDOW, HOP, N_MELS = 512, 400, 160, 40
# Seconds of a clip, and clips.
KINDS = {
    "0.5 s clips": (0.5, 400),
    "10 s clips": (10.0, 20),
    "one of 10 min": (600.0, 1),
}
AUGMENTATION = {
    "noise_snr": (5, 30),
    "gain": 6.0,
    "shift": 0.1,
    "time_mask": 0.1,
    "frequency_mask": 8,
}


def by_librosa(clips):
    for clip in clips:
        power = librosa.feature.melspectrogram(
            y=clip,
            sr=RATE,
            n_fft=N_FFT,
            win_length=N_WINDOW,
            hop_length=HOP,
            n_mels=N_MELS,
            pad_mode="constant",
        )
        librosa.power_to_db(power)


def seconds(work, *given):
    begin = time.process_time()
    work(*given)
    return time.process_time() - begin


def measure(clips, n_rounds):
    """Return median seconds of transform, librosa and a draw, in turns."""
    mel = LogMelSpectrogram().fit(clips)
    varied = LogMelSpectrogram(**AUGMENTATION).fit_transform(clips)
    random_state = np.random.RandomState(0)
    works = {
        "transform": (mel.transform, clips),
        "librosa": (by_librosa, clips),
        "draw": (varied.augmentation.draw, varied.starts, varied.lengths, random_state),
    }
    times = {name: [] for name in works}
    for _ in range(n_rounds + 1):
        for name, work in works.items():
            times[name].append(seconds(*work))
    # The first round fills caches.
    return {name: statistics.median(taken[1:]) for name, taken in times.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    print(f"{'':>15}{'times real time':>30}{'librosa /':>12}")
    print(f"{'':>15}{'transform':>10}{'draw':>10}{'librosa':>10}{'transform':>12}")
    for kind, (length, n_clips) in KINDS.items():
        shape = (n_clips, int(length * RATE))
        clips = list(0.1 * rng.standard_normal(shape, dtype=np.float32))
        taken = measure(clips, options.rounds)
        print(f"{kind:>15}", end="")
        for name in ("transform", "draw", "librosa"):
            print(f"{length * n_clips / taken[name]:10.0f}", end="")
        print(f"{taken['librosa'] / taken['transform']:12.2f}", flush=True)


if __name__ == "__main__":
    main()
