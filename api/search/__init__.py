"""The search body: read, executed over documents in memory and over the results store.

``parse_search`` reads a body, ``search_documents`` executes it over a ``DocumentTable``; ``api.results.store`` has the
store of results, which executes it as SQL.
"""

from api.search.index import DocumentTable, Hit
from api.search.mappings import DETECTORS, RESULTS, TASKS
from api.search.request import SearchRequest, parse_search
from api.search.search import matching_documents, search_documents

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
