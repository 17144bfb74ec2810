"""Sound files, and the one place that imports soundfile."""

import os
import re
from pathlib import Path

import numpy as np

from sklearn_rnn._exceptions import InvalidSequenceError, missing_package

# Frames (samples of all channels) read at a time, before channels are mixed.
BLOCK_FRAMES = 2**20
# Sizes this large are what a program writes that does not know them yet, as when
# it writes to a pipe.
UNKNOWN_SIZE = 0x7FFF0000
# What libsndfile notes about data that stop too early, for wav, aiff, au, caf and
# w64; and for rf64.
SIZES = re.compile(
    r"^\s*(?:data|SSND|Data Size|riff)\s*: (\d+) \(should be (\d+)\)", re.MULTILINE
)
COUNTS = re.compile(r"Calculated frame count (\d+) does not match .* of (\d+)\.")
# Samples that an mp3 may have fewer than it says: a frame of its own.
MP3_FRAME = 1152
# The longest page of an ogg file: a header, 255 lengths, and so many bytes each.
LONGEST_PAGE = 27 + 255 + 255 * 255
OGG_LAST = 4  # flag of the page that ends a stream


def read_file(path, place, max_channels):
    """Read a sound file as mono.

    Parameters
    ----------
    path : str or os.PathLike
        Where it is.
    place : str
        What to call it in messages.
    max_channels : int
        Most channels.

    Returns
    -------
    waveform : ndarray of shape (n_samples,), float32
        The mean of the channels, from -1 to 1; float files as they are.
    rate : int
        Samples a second.

    Raises
    ------
    InvalidSequenceError
        If there is no such file, it is no sound, or stops too early.
    ImportError
        If soundfile is not installed.
    """
    soundfile = import_soundfile()
    _refuse_no_file(path, place)
    try:
        with soundfile.SoundFile(path) as file:
            if file.channels > max_channels:
                raise InvalidSequenceError(
                    f"{place} has {file.channels} channels, and at most "
                    f"{max_channels} are mixed down to one. Choose some: "
                    "samples, rate = soundfile.read(path), then pass the pair "
                    "(samples[:, 0], rate)."
                )
            waveform = _mix(file)
            _refuse_truncated(file, waveform, path, place)
            return waveform, file.samplerate
    except soundfile.LibsndfileError as error:
        raise InvalidSequenceError(
            f"{place} cannot be read as sound: {error.error_string} The file is "
            "damaged, cut off, or no wav, flac, ogg or other sound that libsndfile "
            "reads. Convert it, say with ffmpeg -i in.m4a out.wav, or leave it out."
        ) from error


def import_soundfile():
    """Import soundfile, or say how to get it.

    Returns
    -------
    module
        ``soundfile``.

    Raises
    ------
    ImportError
        If it is not installed.
    """
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


def _refuse_no_file(path, place):
    path = Path(path)
    if path.is_dir():
        raise InvalidSequenceError(
            f"{place} is a folder. Pass the files in it: sorted(Path(...).glob("
            "'*.wav'))."
        )
    if not path.exists():
        raise InvalidSequenceError(
            f"{place} is not there: no such file, seen from the folder {os.getcwd()}."
        )


def _mix(file):
    """Read a file block by block, so that its channels never stand in memory."""
    blocks = []
    while len(block := file.read(BLOCK_FRAMES, dtype="float32", always_2d=True)):
        # A copy: a view of one channel would keep the whole block.
        blocks.append(block.mean(axis=1) if block.shape[1] > 1 else block[:, 0].copy())
    return np.concatenate(blocks) if blocks else np.zeros(0, dtype=np.float32)


def _refuse_truncated(file, waveform, path, place):
    """Refuse what libsndfile reads without a word as far as it goes."""
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
            f"{place} is cut off: it says that it holds more sound than the "
            f"{len(waveform)} samples that are there, as after a broken download. "
            "Fetch it again; or, to take what is there, read it with "
            "soundfile.read(path) and pass that pair."
        )


def _ogg_is_cut(path):
    """Tell whether the last page of a file is not whole, or not a last one."""
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
