from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest

from api.results.store import MIN_ROWS, ResultsStore
from api.search import RESULTS
from api.search.sql.top import top_anomalies
from schemas.query import parse_query
from schemas.query.bind import bind
from tests.api.results.records import NOW, Stored, ask, filled, ids, records, result, with_table
from tests.processes import bound

DAY = 86_400_000
LINE = b'{"id":"%06d","detector_id":"d","data_start_time":0,"data_end_time":1,"error":"%s"}'


def test_a_result_comes_back_as_it_was_written(tmp_path: Path) -> None:
    whole = result(
        "d1|a|60000",
        schema_version=7,
        feature_data=[{"feature_id": "f1", "feature_name": "cpu", "data": 12.5}],
        execution_start_time=60_001,
        execution_end_time=60_002,
        anomaly_score=1.5,
        anomaly_grade=0.5,
        confidence=0.9,
        threshold=1.2,
        entity=[{"name": "host", "value": "a"}],
        model_id="m1",
        task_id="t1",
        approx_anomaly_start_time=-60_000,
        relevant_attribution=[{"feature_id": "f1", "data": 1.0}],
        past_values=[{"feature_id": "f1", "data": 99.0}],
        expected_values=[{"likelihood": 1.0, "value_list": [{"feature_id": "f1", "data": 3.0}]}],
        feature_imputed=[{"feature_id": "f1", "imputed": True}],
        incident={"sequence": 3, "state": "ongoing", "start_time": 0, "duration": 60_000},
    )
    store = filled(tmp_path, [whole, result("d1|b|60000", error="No data in current detection window")])
    first, second = ask(store, {})["hits"]["hits"]
    assert first["_source"] == {name: value for name, value in whole.items() if name != "id"}
    assert (first["_id"], first["_seq_no"], first["_version"], first["_primary_term"]) == ("d1|a|60000", 0, 1, 1)
    assert second["_source"].keys() == {"detector_id", "data_start_time", "data_end_time", "error"}
    store.close()


def test_a_repeated_result_replaces_the_first(tmp_path: Path) -> None:
    store = filled(tmp_path, [result("a", anomaly_grade=0.1), result("b"), result("a", anomaly_grade=0.2)])
    store.upsert(records([result("b", anomaly_grade=0.3), result("c")], start=3))
    found = ask(store, {"sort": ["_id"]})["hits"]["hits"]
    assert [(hit["_id"], hit["_source"].get("anomaly_grade"), hit["_seq_no"]) for hit in found] == [
        ("a", 0.2, 2),
        ("b", 0.3, 3),
        ("c", None, 4),
    ]
    store.close()


def test_results_and_positions_survive_a_restart(tmp_path: Path) -> None:
    store = filled(tmp_path, [result("a")])
    store.upsert([Stored(41, None, partition=3)])
    assert store.positions() == {0: 1, 3: 42}
    store.close()
    again = ResultsStore(tmp_path)
    assert (again.positions(), ids(ask(again, {}))) == ({0: 1, 3: 42}, ["a"])
    again.close()


def test_what_can_not_be_read_or_held_is_skipped_and_nothing_else(tmp_path: Path) -> None:
    store = ResultsStore(tmp_path)
    batch = records([result("a"), result("b"), result("huge", data_start_time=2**70), result("c")])
    batch.insert(1, Stored(9, b"{not json"))
    batch.insert(2, Stored(10, b'{"id":"d"}'))
    store.upsert(batch)
    assert (ids(ask(store, {"sort": ["_id"]})), store.positions()) == (["a", "b", "c"], {0: 11})
    store.close()


@pytest.mark.parametrize("damage", [b"", b"no database at all" * 1000])
def test_a_damaged_store_begins_empty(tmp_path: Path, damage: bytes) -> None:
    filled(tmp_path, [result("a")]).close()
    (tmp_path / "results.duckdb").write_bytes(damage)
    store = ResultsStore(tmp_path)
    assert (store.positions(), store.count()) == ({}, 0)
    store.upsert(records([result("b")]))
    assert ids(ask(store, {})) == ["b"]
    store.close()


def test_a_store_with_a_flipped_byte_is_made_anew_in_its_place(tmp_path: Path) -> None:
    filled(tmp_path, [result("a")]).close()
    file = tmp_path / "results.duckdb"
    content = bytearray(file.read_bytes())
    content[12_288 + 50] ^= 0xFF  # in the first block, behind the three headers
    file.write_bytes(content)
    store = ResultsStore(tmp_path)
    assert (store.positions(), store.count()) == ({}, 0)
    store.upsert(records([result("b")]))
    store.close()
    assert list(tmp_path.glob("*.duckdb")) == [file]
    again = ResultsStore(tmp_path)
    assert again.count() == 1
    again.close()


def test_a_store_of_another_topic_begins_empty(tmp_path: Path) -> None:
    filled(tmp_path, [result("a")]).close()
    store = ResultsStore(tmp_path, origin="another cluster")
    assert (store.positions(), store.count()) == ({}, 0)
    store.close()
    again = ResultsStore(tmp_path, origin="another cluster")
    assert again.count() == 0
    again.close()


def test_a_store_that_another_process_has_open_is_left_alone(tmp_path: Path) -> None:
    script = (
        "import sys, pathlib; from api.results.store import MIN_ROWS, ResultsStore; "
        "store = ResultsStore(pathlib.Path(sys.argv[1])); print(store.count(), flush=True); sys.stdin.read()"
    )
    filled(tmp_path, [result("a")]).close()
    with subprocess.Popen(
        bound([sys.executable, "-c", script, tmp_path]), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"1\n"
        store = ResultsStore(tmp_path)
        assert store.count() == 0
        store.close()
        other.communicate()
    store = ResultsStore(tmp_path)
    assert store.count() == 1
    store.close()


def test_delete_by_query(tmp_path: Path) -> None:
    store = filled(tmp_path, [result("a", task_id="t1"), result("b"), result("c", task_id="t2")])
    assert store.delete(bind(parse_query({"term": {"task_id": "t1"}}), RESULTS, NOW)) == 1
    assert ids(ask(store, {})) == ["b", "c"]
    store.close()


def test_old_results_go(tmp_path: Path) -> None:
    store = ResultsStore(tmp_path, max_age_ms=DAY)
    store.upsert(records([result("old")], time=NOW - 2 * DAY))
    store.upsert(records([result("new")], start=1, time=NOW))
    assert store.retain(NOW) == 1
    assert ids(ask(store, {})) == ["new"]
    store.close()


def test_the_results_of_an_analysis_go_and_no_others(tmp_path: Path) -> None:
    store = filled(tmp_path, [result("a", task_id="t1"), result("b"), result("c", task_id="t2"), result("d")])
    assert store.analyses() == {"t1", "t2"}
    assert store.drop_analyses(["t1", "t3"]) == 1
    assert (store.analyses(), ids(ask(store, {}))) == ({"t2"}, ["b", "c", "d"])
    store.close()


def test_a_store_above_its_size_drops_the_oldest(tmp_path: Path) -> None:
    chance, limit = random.Random(1), 34_000_000
    store = ResultsStore(tmp_path, max_bytes=limit)
    for start in range(0, 360_000, 40_000):
        numbers = range(start, start + 40_000)
        store.upsert([Stored(at, LINE % (at, chance.randbytes(20).hex().encode()), time=NOW + at) for at in numbers])
    assert store.size() > limit
    gone = store.retain(NOW)
    assert 0 < gone <= 360_000 - MIN_ROWS + 1  # the share of rows is rounded up
    assert store.size() < limit
    oldest = ask(store, {"size": 1, "sort": ["_seq_no"]})["hits"]["hits"][0]
    assert oldest["_seq_no"] == gone
    store.close()


def test_a_question_sees_one_state_of_the_store(tmp_path: Path) -> None:
    store = filled(tmp_path, [result("a")])
    with store.reading() as cursor:
        assert cursor.execute("SELECT count(*) FROM results").fetchone() == (1,)
        store.upsert(records([result("b")], start=1))
        assert cursor.execute("SELECT count(*) FROM results").fetchone() == (1,)
    assert store.count() == 2
    store.close()


def test_top_anomalies(tmp_path: Path) -> None:
    def anomaly(id: str, grade: float, host: str, region: str) -> dict[str, object]:
        entity = [{"name": "host", "value": host}, {"name": "region", "value": region}]
        return result(id, anomaly_grade=grade, entity=entity)

    store = filled(
        tmp_path,
        [
            anomaly("1", 0.9, "a", "eu"),
            anomaly("2", 0.2, "b", "us"),
            anomaly("3", 0.3, "b", "us"),
            anomaly("4", 0.0, "c", "eu"),
            anomaly("5", 0.1, "a", "us"),
            result("6", anomaly_grade=1.0),
        ],
    )
    every = bind(parse_query({"match_all": {}}), RESULTS, NOW)
    both = with_table(store, lambda table: top_anomalies(table, every, ["host", "region"]))
    assert both == [
        {"key": {"host": "a", "region": "eu"}, "doc_count": 1, "max_anomaly_grade": 0.9},
        {"key": {"host": "b", "region": "us"}, "doc_count": 2, "max_anomaly_grade": 0.3},
        {"key": {"host": "a", "region": "us"}, "doc_count": 1, "max_anomaly_grade": 0.1},
    ]
    most = with_table(store, lambda table: top_anomalies(table, every, ["region"], by_occurrence=True, size=1))
    assert most == [{"key": {"region": "us"}, "doc_count": 3, "max_anomaly_grade": 0.3}]
    store.close()
