"""Which aggregations there are."""

from __future__ import annotations

MAX_BUCKETS = 65_535
MAX_TOP_HITS = 100_000
_METRICS = """
    min max avg sum extended_stats value_count cardinality percentiles
"""
_BUCKETS = """
    terms top_hits date_histogram histogram range date_range filter filters nested reverse_nested composite bucket_sort
"""
_UNSUPPORTED = """
    adjacency_matrix auto_date_histogram avg_bucket bucket_script bucket_selector cumulative_sum derivative
    diversified_sampler extended_stats_bucket geo_bounds geo_centroid geo_distance geohash_grid geotile_grid global
    ip_range matrix_stats max_bucket median_absolute_deviation min_bucket missing moving_avg moving_fn multi_terms
    percentile_ranks percentiles_bucket rare_terms sampler scripted_metric serial_diff significant_terms
    significant_text stats stats_bucket sum_bucket top_metrics variable_width_histogram weighted_avg
"""
METRICS = frozenset(_METRICS.split())
NUMERIC = METRICS - {"value_count", "cardinality"}
KNOWN = METRICS | frozenset(_BUCKETS.split())
UNSUPPORTED = frozenset(_UNSUPPORTED.split())
