"""Sound: waveforms, spectrograms, and pictures of both."""

from sklearn_rnn._moved import register_old_modules
from sklearn_rnn.audio._log_mel import LogMelSpectrogram
from sklearn_rnn.audio._posterior import PosteriorDisplay
from sklearn_rnn.audio._spectrogram import SpectrogramDisplay

__all__ = [
    "LogMelSpectrogram",
    "PosteriorDisplay",
    "SpectrogramDisplay",
]

register_old_modules(
    {
        "displays._posterior": "audio._posterior",
        "displays._spectrogram": "audio._spectrogram",
        "preprocessing._augmentation": "audio._augmentation",
        "preprocessing._log_mel": "audio._log_mel",
        "preprocessing._mel": "audio._mel",
    }
)
