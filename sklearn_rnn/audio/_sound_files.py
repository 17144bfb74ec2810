"""Sound files, and the one place that imports soundfile."""

import os
import re
from pathlib import Path
from types import ModuleType

import numpy as np

from sklearn_rnn._exceptions import InvalidSequenceError, missing_package

# Frames (samples of all channels) read at a time, before channels are mixed.
BLOCK_FRAMES = 2**20
# Sizes this large are placeholders of programs that do not know the size yet, such as
# when they write to a pipe.
UNKNOWN_SIZE = 0x7FFF0000
# What libsndfile notes about truncated data, for wav, aiff, au, caf and w64; and for
# rf64.
SIZES = re.compile(
    r"^\s*(?:data|SSND|Data Size|riff)\s*: (\d+) \(should be (\d+)\)", re.MULTILINE
)
COUNTS = re.compile(r"Calculated frame count (\d+) does not match .* of (\d+)\.")
# An mp3 may have fewer samples than its header says, by up to one frame of this size.
MP3_FRAME = 1152
# The longest page of an ogg file: a header, 255 lengths, and so many bytes each.
LONGEST_PAGE = 27 + 255 + 255 * 255
OGG_LAST = 4  # flag of the page that ends a stream


def load_file(
    path: str | os.PathLike, name: str, max_channels: int
) -> tuple[np.ndarray, int]:
    """Load a sound file as mono: float32 samples, and their rate in Hz.

    Samples are from -1 to 1, those of float files as they are. `name` names the
    file in messages.
    """
    soundfile = import_soundfile()
    _check_exists(path, name)
    try:
        with soundfile.SoundFile(path) as file:
            if file.channels > max_channels:
                raise InvalidSequenceError(
                    f"{name} has {file.channels} channels, and at most "
                    f"{max_channels} are mixed down to one. Choose some: "
                    "samples, rate = soundfile.read(path), then pass the pair "
                    "(samples[:, 0], rate)."
                )
            waveform = _mix(file)
            _check_complete(file, waveform, path, name)
            return waveform, file.samplerate
    except soundfile.LibsndfileError as error:
        raise InvalidSequenceError(
            f"{name} cannot be read as sound: {error.error_string} The file is "
            "damaged, truncated, or not a wav, flac, ogg or other sound that "
            "libsndfile reads. Convert it, say with ffmpeg -i in.m4a out.wav, or "
            "leave it out."
        ) from error


def import_soundfile() -> ModuleType:
    """Import soundfile, or raise an error that says how to install it."""
    try:
        import soundfile
    except ImportError as error:
        raise missing_package(
            "LogMelSpectrogram, to read sound files,",
            "soundfile",
            "audio",
            " Waveforms in memory need no package.",
        ) from error
    return soundfile


def _check_exists(path, name):
    path = Path(path)
    if path.is_dir():
        raise InvalidSequenceError(
            f"{name} is a folder. Pass the files in it: sorted(Path(...).glob("
            "'*.wav'))."
        )
    if not path.exists():
        raise InvalidSequenceError(
            f"{name} does not exist, seen from the folder {os.getcwd()}."
        )


def _mix(file):
    """Load a file block by block, so that its channels are never all in memory."""
    blocks = []
    while len(block := file.read(BLOCK_FRAMES, dtype="float32", always_2d=True)):
        # A copy: a view of one channel would keep the whole block.
        blocks.append(block.mean(axis=1) if block.shape[1] > 1 else block[:, 0].copy())
    return np.concatenate(blocks) if blocks else np.zeros(0, dtype=np.float32)


def _check_complete(file, waveform, path, name):
    """Check for truncated files, which libsndfile reads without an error."""
    cut = len(waveform) < file.frames - MP3_FRAME
    for match in SIZES.finditer(file.extra_info):
        said, found = map(int, match.groups())
        cut |= found < said < UNKNOWN_SIZE
    for match in COUNTS.finditer(file.extra_info):
        found, said = map(int, match.groups())
        cut |= found < said
    if file.format == "OGG":
        cut |= _ogg_is_cut(path)
    if cut:
        raise InvalidSequenceError(
            f"{name} is truncated: its header promises more sound than the "
            f"{len(waveform)} samples in it, as after a broken download. Download it "
            "again; or, to use what is there, read it with soundfile.read(path) and "
            "pass that pair."
        )


def _ogg_is_cut(path):
    """Return whether a file ends without a complete last page of its stream."""
    with open(path, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - LONGEST_PAGE))
        tail = file.read()
    page = tail[tail.rfind(b"OggS") :]
    n_lengths = page[26] if len(page) > 26 else 0
    lengths = page[27 : 27 + n_lengths]
    if n_lengths == 0 or len(lengths) < n_lengths:
        return True
    is_last = bool(page[5] & OGG_LAST)
    return not is_last or len(page) < 27 + n_lengths + sum(lengths)
