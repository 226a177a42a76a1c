"""Queries over a few documents, with the ids that must be found: the one suite of cases of every back end."""

from __future__ import annotations

from typing import Any

NOW = 1_795_493_335_499  # 2026-11-24T04:08:55.499Z

DOCUMENTS: dict[str, dict[str, Any]] = {
    "a": {
        "state": "RUNNING",
        "task_type": "REALTIME_HC_DETECTOR",
        "is_latest": True,
        "task_progress": 0.5,
        "estimated_minutes_left": 7,
        "execution_start_time": 1_795_493_161_317,
        "error": "",
        "detector_id": "to-7C6IBjBKKXbDBZvgR",
        "detection_date_range": {"start_time": 1_795_234_053_422, "end_time": 1_795_493_253_422},
    },
    "b": {
        "state": "FAILED",
        "task_type": "HISTORICAL_SINGLE_ENTITY",
        "is_latest": False,
        "task_progress": 0.0,
        "execution_start_time": 1_795_406_761_317,
        "error": "There is no data in the detection date range",
        "detector_id": "vI-7C6IBjBKKXbDBZvj2",
        "detection_date_range": {"start_time": -5, "end_time": -1},
    },
    "c": {
        "state": "FINISHED",
        "task_type": "HISTORICAL_HC_ENTITY",
        "is_latest": True,
        "task_progress": 1.0,
        "execution_start_time": 1_795_493_295_337,
        "parent_task_id": "p1",
        "entity": [{"name": "host", "value": "host-3"}, {"name": "region", "value": "eu"}],
        "detector_id": "to-7C6IBjBKKXbDBZvgR",
        "worker_node": None,
    },
    "d": {
        "state": "FINISHED",
        "task_type": "HISTORICAL_HC_ENTITY",
        "task_progress": 1,
        "execution_start_time": 1_795_493_295_338,
        "parent_task_id": "p2",
        "entity": [{"name": "host", "value": "eu"}, {"name": "region", "value": "us"}],
        "error": "No data in current detection window, host-3 failed 1.5 times",
        "detector_id": "",
    },
}
"""Task documents, by id."""

CLAUSES: list[tuple[dict[str, Any], str]] = [
    ({"match_all": {}}, "abcd"),
    ({"match_none": {}}, ""),
    ({"term": {"state": "FINISHED"}}, "cd"),
    ({"term": {"state": {"value": "FINISHED", "boost": 2}}}, "cd"),
    ({"term": {"state": {"value": "finished", "case_insensitive": True}}}, "cd"),
    ({"term": {"state": "finished"}}, ""),
    ({"term": {"is_latest": "true"}}, "ac"),
    ({"term": {"is_latest": True}}, "ac"),
    ({"term": {"is_latest": "false"}}, "b"),
    ({"term": {"task_progress": 1}}, "cd"),
    ({"term": {"task_progress": "1.0"}}, "cd"),
    ({"term": {"execution_start_time": 1_795_493_295_337}}, "c"),
    ({"term": {"detector_id": ""}}, "d"),
    ({"terms": {"state": ["FINISHED", "FAILED"], "boost": 1.0}}, "bcd"),
    ({"terms": {"state": []}}, ""),
    ({"ids": {"values": ["a", "z"]}}, "a"),
    ({"term": {"_id": "b"}}, "b"),
    ({"range": {"task_progress": {"gt": 0}}}, "acd"),
    ({"range": {"task_progress": {"gte": 0, "lt": 1}}}, "ab"),
    ({"range": {"task_progress": {"from": 0.5, "to": None, "include_lower": False}}}, "cd"),
    ({"range": {"task_progress": {"gte": "0.5"}}}, "acd"),
    ({"range": {"state": {"gte": "FB", "lt": "G"}}}, "cd"),
    ({"range": {"execution_start_time": {"gte": "now-1d"}}}, "acd"),
    ({"range": {"execution_start_time": {"gte": "now-1d/d", "lt": "now/d"}}}, "b"),
    ({"range": {"execution_start_time": {"gte": "2026-11-24", "format": "yyyy-MM-dd"}}}, "acd"),
    ({"range": {"execution_start_time": {"lte": "2026-11-23"}}}, "b"),
    ({"range": {"execution_start_time": {"gt": "2026-11-23"}}}, "acd"),
    ({"range": {"execution_start_time": {"lt": "2026-11-24T04:08:15.337Z"}}}, "ab"),
    ({"range": {"execution_start_time": {"gte": 1_795_493_295, "format": "epoch_second"}}}, "cd"),
    ({"range": {"detection_date_range.start_time": {"lt": 0}}}, "b"),
    ({"exists": {"field": "parent_task_id"}}, "cd"),
    ({"exists": {"field": "worker_node"}}, ""),
    ({"exists": {"field": "error"}}, "abd"),
    ({"exists": {"field": "detection_date_range"}}, "ab"),
    ({"bool": {"must_not": [{"exists": {"field": "parent_task_id"}}]}}, "ab"),
    ({"bool": {"must_not": {"exists": {"field": "parent_task_id"}}}}, "ab"),
    ({"bool": {}}, "abcd"),
    ({"bool": {"must": []}}, "abcd"),
    ({"bool": {"filter": {"term": {"state": "FINISHED"}}, "should": [], "minimum_should_match": 1}}, "cd"),
    ({"bool": {"should": {"term": {"state": "FAILED"}}, "minimum_should_match": 0}}, "b"),
    ({"bool": {"must_not": {"term": {"state": "FAILED"}}, "adjust_pure_negative": False}}, ""),
    ({"bool": {"filter": [{"term": {"state": "FINISHED"}}], "must_not": [{"term": {"parent_task_id": "p1"}}]}}, "d"),
    ({"bool": {"should": [{"term": {"state": "FAILED"}}, {"term": {"state": "RUNNING"}}]}}, "ab"),
    ({"bool": {"must": {"term": {"state": "FAILED"}}, "should": [{"term": {"state": "RUNNING"}}]}}, "b"),
    (
        {
            "bool": {
                "should": [
                    {"term": {"state": "FINISHED"}},
                    {"term": {"parent_task_id": "p1"}},
                    {"exists": {"field": "error"}},
                ],
                "minimum_should_match": 2,
            }
        },
        "cd",
    ),
    (
        {
            "bool": {
                "should": [{"term": {"state": "FINISHED"}}, {"term": {"parent_task_id": "p1"}}],
                "minimum_should_match": "100%",
            }
        },
        "c",
    ),
    ({"prefix": {"task_type": "HISTORICAL_HC"}}, "cd"),
    ({"prefix": {"task_type": {"value": "historical_hc", "case_insensitive": True}}}, "cd"),
    ({"wildcard": {"task_type": {"value": "*_HC_*", "boost": 1}}}, "acd"),
    ({"wildcard": {"state": "F?I*"}}, "b"),
    ({"wildcard": {"state": {"wildcard": "f*", "case_insensitive": True}}}, "bcd"),
    ({"constant_score": {"filter": {"term": {"state": "FAILED"}}}}, "b"),
    ({"nested": {"path": "entity", "query": {"term": {"entity.value": "eu"}}}}, "cd"),
    (
        {
            "nested": {
                "path": "entity",
                "query": {"bool": {"filter": [{"term": {"entity.name": "region"}}, {"term": {"entity.value": "eu"}}]}},
            }
        },
        "c",
    ),
    ({"bool": {"must_not": {"nested": {"path": "entity", "query": {"match_all": {}}}}}}, "ab"),
    ({"query_string": {"query": "state:FAILED OR state:RUNNING"}}, "ab"),
    ({"query_string": {"query": "FINISHED AND p1"}}, "c"),
    ({"query_string": {"query": "*INISH*", "fields": ["state"], "default_operator": "AND"}}, "cd"),
    ({"query_string": {"query": "task_progress:[0.2 TO 0.8]"}}, "a"),
    ({"query_string": {"query": "task_progress:>=1 NOT parent_task_id:p1"}}, "d"),
    ({"query_string": {"query": "_exists_:parent_task_id"}}, "cd"),
]

TEXTS: list[tuple[dict[str, Any], str]] = [
    ({"match": {"error": "data WINDOW"}}, "bd"),
    ({"match": {"error": {"query": "data window", "operator": "and"}}}, "d"),
    ({"match": {"error": {"query": "data date window", "minimum_should_match": 2}}}, "bd"),
    ({"match": {"error": {"query": "...", "zero_terms_query": "all"}}}, "abcd"),
    ({"match_phrase": {"error": "no data in"}}, "bd"),
    ({"match_phrase": {"error": "data no"}}, ""),
    ({"match_phrase_prefix": {"error": "detection da"}}, "b"),
    ({"multi_match": {"query": "FAILED", "fields": ["state", "error"]}}, "bd"),
    ({"query_string": {"query": '"data in current"', "default_field": "error"}}, "d"),
]
"""Queries that look for words: fields of records are keywords, only mapped fields may be texts."""

WHOLE: list[tuple[dict[str, Any], str]] = [
    ({"match": {"state": "FINISHED"}}, "cd"),
    ({"match": {"state": {"query": "FINISHED FAILED", "operator": "or"}}}, ""),
    ({"match": {"task_progress": "1.0"}}, "cd"),
    ({"match": {"is_latest": "true"}}, "ac"),
    ({"match_phrase": {"task_type": "HISTORICAL_HC_ENTITY"}}, "cd"),
    ({"match_phrase": {"task_type": "HISTORICAL"}}, ""),
    ({"match_phrase_prefix": {"task_type": "HISTORICAL_HC"}}, "cd"),
    ({"match": {"detector_id": "to-7C6IBjBKKXbDBZvgR"}}, "ac"),
    ({"match": {"detector_id": "to"}}, ""),
    ({"query_string": {"query": "detector_id:to\\-7C6IBjBKKXbDBZvgR"}}, "ac"),
    ({"query_string": {"query": "detector_id:to"}}, ""),
    ({"query_string": {"query": "task_type:HIST*"}}, "bcd"),
    ({"multi_match": {"query": "FINISHED", "fields": ["sta*", "parent_task_id"]}}, "cd"),
    ({"multi_match": {"query": "p2", "fields": ["state^2", "parent_task_id"]}}, "d"),
]
"""Queries for words on keywords, which are compared as a whole."""

CLAUSES += WHOLE
