"""What a user has of sound becomes mono waveforms at one rate."""

import builtins
import io
import re
import struct
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from sklearn_rnn import InvalidSequenceError, LogMelSpectrogram, make_windows
from sklearn_rnn.audio._waveforms import (
    list_clips,
    load_waveforms,
    resample_to,
)

RATE = 16_000


def read(X, sample_rate=RATE, resample=True):
    return load_waveforms(list_clips(X, "it"), sample_rate, resample, "it")


def tone(hz, rate=RATE, seconds=0.5):
    return 0.5 * np.sin(2 * np.pi * hz * np.arange(int(seconds * rate)) / rate)


@pytest.fixture
def write(tmp_path):
    def written(name, samples, rate=RATE, **options):
        path = tmp_path / name
        soundfile.write(path, samples, rate, **options)
        return path

    return written


# Arrays.


@pytest.mark.parametrize(
    "samples, expected",
    [
        (np.array([-(2**15), 0, 2**14], dtype=np.int16), [-1, 0, 0.5]),
        (np.array([-(2**15), 0, 2**14], dtype=">i2"), [-1, 0, 0.5]),
        (np.array([-128, 0, 64], dtype=np.int8), [-1, 0, 0.5]),
        (np.array([0, 128, 192], dtype=np.uint8), [-1, 0, 0.5]),
        (np.array([-(2**31), 0, 2**30], dtype=np.int32), [-1, 0, 0.5]),
        (np.array([-1.0, 0.0, 0.5]), [-1, 0, 0.5]),
        (np.array([-300.0, 0.0, 0.5], dtype=">f4"), [-300, 0, 0.5]),
        ([-1.0, 0.0, 0.5], [-1, 0, 0.5]),
    ],
)
def test_whole_numbers_are_scaled_to_full_scale_and_floats_are_not(samples, expected):
    (waveform,) = read([samples])
    assert waveform.tolist() == expected
    assert waveform.dtype in (np.float32, np.float64)
    assert waveform.dtype.isnative


@pytest.mark.parametrize("dtype", [np.float32, np.int16, np.uint8])
def test_channels_are_mixed_by_their_mean_whichever_side_they_are(dtype):
    channels = np.random.default_rng(0).integers(0, 100, size=(50, 2)).astype(dtype)
    one, other, third = read([channels, channels.T, channels[:, :1]])
    left, right = read([channels[:, 0], channels[:, 1]])
    np.testing.assert_allclose(one, (left + right) / 2, rtol=1e-6)
    np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(third, left)


def test_every_form_holds_the_same_clips():
    clips = np.random.default_rng(0).uniform(-1, 1, size=(3, 40))
    objects = np.empty(3, dtype=object)
    objects[:] = list(clips)
    stereo = np.stack([clips, clips], axis=2)
    windows = make_windows(clips.ravel(), n_steps=40, stride=40)
    for X in (
        clips,
        list(clips),
        tuple(clips),
        objects,
        pd.Series(list(clips)),
        stereo,
        windows,
        [(clip, RATE) for clip in clips],
        [(RATE, clip) for clip in clips],
        [[clips[0], np.int64(RATE)], (clips[1], 16_000.0), clips[2].tolist()],
    ):
        np.testing.assert_array_equal(np.stack(read(X)), clips)


def test_windows_of_whole_numbers_are_scaled_too():
    signal = np.arange(6, dtype=np.int16)
    first, last = read(make_windows(signal, n_steps=4, stride=2))
    np.testing.assert_array_equal(last * 2**15, [2, 3, 4, 5])
    assert len(first) == 4


def test_what_was_given_is_left_as_it_was():
    clip = np.arange(5.0)
    kept = clip.copy()
    clip.flags.writeable = False
    LogMelSpectrogram(gain=6.0).fit_transform([clip, clip.astype(np.float32)])
    np.testing.assert_array_equal(clip, kept)


# Rates.


@pytest.mark.parametrize("rate", [8000, 22_050, 44_100, 48_000, 96_000, 44_101, 15_999])
def test_another_rate_gives_the_same_sound(rate):
    (waveform,) = read([(tone(1000, rate), rate)])
    assert abs(len(waveform) - RATE // 2) <= 1
    middle = slice(1000, 7000)
    np.testing.assert_allclose(waveform[middle], tone(1000)[middle], atol=1e-4)


def test_what_is_above_half_the_rate_is_gone():
    (waveform,) = read([(tone(10_000, 44_100), 44_100)])
    assert np.abs(waveform[1000:7000]).max() < 1e-4


def test_resampling_keeps_the_type_and_short_clips():
    assert resample_to(np.zeros(1, dtype=np.float32), 44_100, RATE).dtype == np.float32
    assert resample_to(np.ones(1), 8000, RATE).shape == (2,)
    # Ten million and a bit have no common factor worth having.
    assert len(resample_to(np.zeros(10**5), 9_999_991, RATE)) in (160, 161)


def test_other_rates_are_refused_if_asked_to(write):
    path = write("a.wav", tone(440, 96_000), 96_000)
    with pytest.raises(InvalidSequenceError, match=r"a\.wav.* has 96000 .*=16000\."):
        read([path], resample=False)
    message = r"X\[1\] has 8000 samples per second, .* sample_rate=8000 if all"
    with pytest.raises(InvalidSequenceError, match=message):
        read([(tone(440), RATE), (tone(440), 8000)], resample=False)


@pytest.mark.parametrize("rate", [44_100.5, 0, -8000, np.nan, np.inf, 1e9])
def test_rates_that_are_none_are_refused(rate):
    with pytest.raises(InvalidSequenceError, match=r"X\[0\] has the rate .* Hz"):
        read([(tone(440), rate)])


def test_rates_a_thousand_times_apart_are_refused():
    with pytest.raises(InvalidSequenceError, match=r"X\[0\] has 16 .* in kHz\?"):
        read([(tone(440), 16)], sample_rate=17_000)


# Files.


@pytest.mark.parametrize(
    "name, subtype, tolerance",
    [
        ("a.wav", "PCM_16", 1e-4),
        ("a.wav", "PCM_U8", 0.01),
        ("a.wav", "PCM_24", 1e-6),
        ("a.wav", "FLOAT", 1e-7),
        ("a.flac", "PCM_16", 1e-4),
        ("a.ogg", "VORBIS", 0.05),
        ("a.ogg", "OPUS", 0.05),
    ],
)
def test_files_are_read(write, name, subtype, tolerance):
    path = write(name, tone(440), subtype=subtype)
    for X in ([path], [str(path)], pd.Series([path]), np.array([str(path)])):
        (waveform,) = read(X)
        assert len(waveform) == 8000
        np.testing.assert_allclose(
            waveform[500:-500], tone(440)[500:-500], 0, tolerance
        )


def test_channels_of_files_are_mixed(write):
    stereo = np.column_stack([tone(440), tone(880)])
    (waveform,) = read([write("a.wav", stereo, subtype="FLOAT")])
    np.testing.assert_allclose(waveform, stereo.mean(axis=1), atol=1e-7)
    with pytest.raises(InvalidSequenceError, match=r"b\.wav.* has 9 channels"):
        read([write("b.wav", np.zeros((20, 9)))])


def test_long_files_are_read_in_pieces_that_join(write, monkeypatch):
    monkeypatch.setattr("sklearn_rnn.audio._sound_files.BLOCK_FRAMES", 999)
    (waveform,) = read([write("a.wav", tone(440), subtype="FLOAT")])
    np.testing.assert_allclose(waveform, tone(440), atol=1e-7)


@pytest.mark.parametrize("name", ["a.wav", "a.aiff", "a.au", "a.w64", "a.rf64"])
@pytest.mark.parametrize("kept", [0.5, 0.97])
def test_a_file_that_stops_early_is_refused(write, name, kept):
    path = write(name, tone(440), subtype="PCM_16")
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(InvalidSequenceError, match=re.escape(name) + ".* is truncated"):
        read([path])


@pytest.mark.thorough
@pytest.mark.parametrize("name, subtype", [("a.flac", "PCM_16"), ("a.ogg", "OPUS")])
@pytest.mark.parametrize("kept", [0.3, 0.9])
def test_a_compressed_file_that_stops_early_is_refused(write, name, subtype, kept):
    path = write(name, tone(440, seconds=20), subtype=subtype)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(InvalidSequenceError, match=r"X\[0\] .*truncated"):
        read([path])


def test_an_ogg_that_stops_early_is_refused_wherever_it_stops(write):
    rng = np.random.default_rng(0)
    path = write("a.ogg", 0.1 * rng.normal(size=20 * RATE), subtype="VORBIS")
    content = path.read_bytes()
    last_page = content.rfind(b"OggS")
    for size in (last_page, last_page + 10, last_page + 40, len(content) - 1):
        path.write_bytes(content[:size])
        with pytest.raises(InvalidSequenceError, match="truncated"):
            read([path])


@pytest.mark.parametrize("size", [0xFFFFFFFF, 0x7FFFF000])
def test_a_wav_written_to_a_pipe_does_not_know_its_size_and_is_read(write, size):
    path = write("a.wav", tone(440), subtype="PCM_16")
    content = bytearray(path.read_bytes())
    content[40:44] = struct.pack("<I", size)
    path.write_bytes(content)
    assert len(read([path])[0]) == 8000


def test_a_wav_without_its_last_byte_of_padding_is_whole(write):
    path = write("a.wav", tone(440)[:-1], subtype="PCM_U8")
    path.write_bytes(path.read_bytes()[: 44 + 7999])
    assert len(read([path])[0]) == 7999


def test_what_is_no_sound_file_is_refused(tmp_path):
    (tmp_path / "text.wav").write_text("no sound at all")
    (tmp_path / "empty.wav").write_bytes(b"")
    for name, message in [
        ("none.wav", r"X\[1\] \(.*none\.wav'\) does not exist.* folder /"),
        ("", r"X\[1\] .* is a folder\. Pass the files in it"),
        ("text.wav", r"X\[1\] \(.*text\.wav'\) cannot be read as sound: Format not"),
        ("empty.wav", r"X\[1\] .* cannot be read as sound"),
    ]:
        with pytest.raises(InvalidSequenceError, match=message):
            read([tone(440), tmp_path / name])


def test_a_file_without_samples_is_refused(write):
    with pytest.raises(InvalidSequenceError, match=r"a\.wav'\) is empty"):
        read([write("a.wav", np.zeros(0))])


def test_nan_in_a_file_names_it(write):
    samples = tone(440)
    samples[7] = np.nan
    with pytest.raises(InvalidSequenceError, match=r"NaN: X\[0\] \(.*, sample 7"):
        read([write("a.wav", samples, subtype="FLOAT")])


def test_without_soundfile_the_way_to_it_is_named(monkeypatch):
    real = builtins.__import__

    def absent(name, *args, **kwargs):
        if name == "soundfile":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(ImportError, match=re.escape('pip install -e ".[audio]"')):
        read(["a.wav"])
    assert len(read([tone(440)])) == 1


# What is refused.


@pytest.mark.parametrize(
    "X, error, message",
    [
        ("a.wav", TypeError, r"X is a single path, 'a\.wav', .* pass \[X\]"),
        (Path("a.wav"), TypeError, "X is a single path"),
        (tone(440), InvalidSequenceError, "a single waveform of 8000 .* pass"),
        (tone(440).tolist(), InvalidSequenceError, "a single waveform of 8000"),
        (pd.Series(tone(440)), InvalidSequenceError, "a single waveform of 8000"),
        ((tone(440), RATE), InvalidSequenceError, r"single pair .* pass \[X\]"),
        ((RATE, tone(440)), InvalidSequenceError, "single pair"),
        (
            np.zeros((900, 2)),
            InvalidSequenceError,
            r"\(900, 2\): .* pass \[X\]; .*list",
        ),
        ([], InvalidSequenceError, "X is empty"),
        (np.zeros((0, 20)), InvalidSequenceError, "X is empty"),
        (np.zeros((1, 2, 3, 4)), InvalidSequenceError, "X has 4 dimensions"),
        (None, TypeError, "X is of type NoneType"),
        ({"a": tone(440)}, TypeError, "X is of type dict"),
        (iter([tone(440)]), TypeError, "X is of type list_iterator"),
        (pd.DataFrame({"path": ["a.wav"]}), TypeError, "pass the column"),
        (
            make_windows(np.zeros((20, 3)), n_steps=5),
            InvalidSequenceError,
            "one feature per step",
        ),
    ],
)
def test_what_is_no_list_of_clips_is_refused(X, error, message):
    with pytest.raises(error, match=message):
        read(X)


@pytest.mark.parametrize(
    "clip, error, message",
    [
        (np.zeros(0), InvalidSequenceError, r"X\[1\] is empty.* Leave it out"),
        ((np.zeros(0), RATE), InvalidSequenceError, r"X\[1\] is empty"),
        (np.zeros((0, 2)), InvalidSequenceError, r"X\[1\] is empty"),
        ([0.0, np.nan], InvalidSequenceError, r"NaN: X\[1\], sample 1\. Set"),
        ([0.0, 0.0, -np.inf], InvalidSequenceError, r"infinity: X\[1\], sample 2"),
        ([1e200, 0.0], InvalidSequenceError, r"1e\+200: X\[1\], sample 0"),
        (np.zeros(5, dtype=complex), TypeError, r"X\[1\] holds .* complex128.*Complex"),
        (np.array(["a", "b"]), TypeError, r"X\[1\] holds values of type <U1"),
        (np.array([1, None]), TypeError, r"X\[1\] holds values of type object"),
        (np.zeros(5, dtype=bool), TypeError, r"X\[1\] holds values of type bool"),
        (
            [[1.0], [1.0, 2.0]],
            InvalidSequenceError,
            r"X\[1\] is not an array of samples",
        ),
        (np.zeros((20, 9)), InvalidSequenceError, r"X\[1\] has shape \(20, 9\): .* 8"),
        (np.zeros((9, 20)), InvalidSequenceError, r"X\[1\] has shape \(9, 20\)"),
        (np.zeros((2, 2, 2)), InvalidSequenceError, r"X\[1\] has shape \(2, 2, 2\)"),
        (np.array(3.0), InvalidSequenceError, r"X\[1\] has shape \(\)"),
        (3.0, TypeError, r"X\[1\] is of type float"),
        (None, InvalidSequenceError, r"X\[1\] is None, a missing value"),
        (b"RIFF", TypeError, r"X\[1\] is of type bytes.* soundfile\.read"),
        (io.BytesIO(b"RIFF"), TypeError, r"X\[1\] is of type BytesIO"),
        (
            np.zeros(5, dtype=np.int64),
            InvalidSequenceError,
            r"X\[1\] holds int64.*int16",
        ),
        ([1, 2], InvalidSequenceError, r"X\[1\] holds int64"),
    ],
)
def test_what_is_no_clip_is_refused_by_its_place(clip, error, message):
    with pytest.raises(error, match=message):
        read([tone(440), clip, tone(440)])


def test_floats_on_the_scale_of_integers_beside_integers_are_refused(write):
    loud = 20_000 * tone(440)
    message = r"X\[1\] holds floats up to 10000, but X\[0\] .* divide them by 32768"
    with pytest.raises(InvalidSequenceError, match=message):
        read([loud.astype(np.int16), loud])
    with pytest.raises(InvalidSequenceError, match=r"but X\[1\] \(.*a\.wav'\) has"):
        read([loud, write("a.wav", tone(440))])
    assert len(read([loud, loud])) == 2
    assert len(read([loud.astype(np.int16), 2 * tone(440)])) == 2
    # A float file may be louder than full scale.
    assert len(read([tone(440), write("b.wav", 9 * tone(440), subtype="FLOAT")])) == 2


@pytest.mark.parametrize("form", [list, np.ma.array])
def test_a_masked_sample_is_missing_and_not_what_the_mask_hides(form):
    clips = np.ma.masked_equal(np.array([[0.1, 0.2, 0.3]] * 2), 0.2)
    with pytest.raises(InvalidSequenceError, match=r"NaN: X\[0\], sample 1"):
        LogMelSpectrogram(16_000).fit(form(clips))
