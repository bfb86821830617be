"""Datasets as WebDataset shards: tar files of FLAC and JSON, on a disk or in a store, written and streamed.

A sample is a track: `000007_some_song.json` describes it, and `000007_some_song.<stem>.flac` beside it are its stems.
"""

from soli.data.shards.index import Index, Shard, read_index
from soli.data.shards.stream import Cursor, ShardDataset, ShardTrack
from soli.data.shards.tar import read_shard
from soli.data.shards.write import write_shards

__all__ = ["Cursor", "Index", "Shard", "ShardDataset", "ShardTrack", "read_index", "read_shard", "write_shards"]
