"""Recordings as codes: the `.soli` file, and from sound to it and back."""

from soli.codes.files import EncodedFile, decode_file, encode_file
from soli.codes.format import EncodedSong, read_codes, write_codes

__all__ = ["EncodedFile", "EncodedSong", "decode_file", "encode_file", "read_codes", "write_codes"]
