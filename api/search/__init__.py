"""The search body: read, executed over documents in memory and over the results store.

``parse_search`` reads a body, ``search_documents`` executes it over a ``DocumentTable``; ``api.results.store`` has the
store of results, which executes it as SQL.
"""

from api.search.bind.mappings import DETECTORS, RESULTS, TASKS
from api.search.memory.search import matching_documents, search_documents
from api.search.memory.table import DocumentTable, Hit
from api.search.request import SearchRequest, parse_search

__all__ = [
    "DETECTORS",
    "RESULTS",
    "TASKS",
    "DocumentTable",
    "Hit",
    "SearchRequest",
    "matching_documents",
    "parse_search",
    "search_documents",
]
