"""Encoding of data larger than memory."""

from kvae.training.encoding.encode_shards import encode_shards as encode_shards
