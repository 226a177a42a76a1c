"""The query language of OpenSearch: one parse tree, read from JSON, with a test on documents as its first target."""

from schemas.query.document import to_document
from schemas.query.parse import parse_query
from schemas.query.predicate import Predicate, compile_query, matches
from schemas.query.tree import MatchAll, Query

__all__ = ["MatchAll", "Predicate", "Query", "compile_query", "matches", "parse_query", "to_document"]
