"""The query language of OpenSearch: one parse tree, bound once to field types, with the back end in memory."""

from schemas.query.bind import bind
from schemas.query.document import to_document
from schemas.query.fields import RECORDS
from schemas.query.filters import compile_filter, compile_query
from schemas.query.memory import Documents, compile_condition
from schemas.query.parse import parse_query
from schemas.query.tree import MatchAll, Query

__all__ = [
    "RECORDS",
    "Documents",
    "MatchAll",
    "Query",
    "bind",
    "compile_condition",
    "compile_filter",
    "compile_query",
    "parse_query",
    "to_document",
]
