"""Faust, made to hand over whole fetches and to commit only what we call safe."""

from streams.transport.consumer import Chunk, ChunkConsumer, ChunkSchema, ChunkTransport, watch
from streams.transport.ledger import Ledger

__all__ = ["Chunk", "ChunkConsumer", "ChunkSchema", "ChunkTransport", "Ledger", "watch"]
