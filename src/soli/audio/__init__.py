"""Audio files in and out, block by block, and resampling: the only room that knows what a file is.

Reading tells the format from the content, never from the name: libsndfile takes wav, aiff, flac, ogg, opus
and mp3; PyAV takes m4a, mp4, video and the several streams of a `.stem.mp4`. Samples are float32, +-1 is full scale.
"""

from soli.audio.fifo import SampleFifo
from soli.audio.formats import FORMATS, SILENCE_DBFS, Format, dbfs
from soli.audio.reader import AudioReader, read, read_streams
from soli.audio.resampling import Resampler, resample, resampled_length
from soli.audio.stemset import RESIDUAL, StemSet, round_together
from soli.audio.writer import AudioWriter

__all__ = [
    "FORMATS",
    "RESIDUAL",
    "SILENCE_DBFS",
    "AudioReader",
    "AudioWriter",
    "Format",
    "Resampler",
    "SampleFifo",
    "StemSet",
    "dbfs",
    "read",
    "read_streams",
    "resample",
    "resampled_length",
    "round_together",
]
