// OpenSearch's JavaScript client, unchanged: node life_cycle.mjs URL DETECTOR_JSON, in a folder with node_modules.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import path from "node:path";

const { Client, errors } = createRequire(path.join(process.cwd(), "/"))("@opensearch-project/opensearch");
const client = new Client({ node: process.argv[2], maxRetries: 0 });
const document = JSON.parse(process.argv[3]);
const AD = "/_plugins/_anomaly_detection/detectors";

async function ask(method, path, body, querystring) {
  return (await client.transport.request({ method, path, body, querystring })).body;
}

assert.equal((await client.info()).body.version.distribution, "opensearch");
assert.equal((await client.ping()).statusCode, 200);

const created = await ask("POST", AD, document, { refresh: "wait_for" });
const id = created._id;
assert.equal(created._version, 1);
assert.equal((await client.transport.request({ method: "HEAD", path: `${AD}/${id}` })).statusCode, 200);
assert.deepEqual(await ask("GET", `${AD}/match`, undefined, { name: document.name }), { count: 0, match: true });
assert.equal((await ask("GET", `${AD}/count`)).count, 1);
assert.deepEqual(await ask("POST", `${AD}/_validate`, { ...document, name: "other" }), {});

assert.equal((await ask("POST", `${AD}/${id}/_start`))._id, id);
const shown = await ask("GET", `${AD}/${id}`, undefined, { job: true, task: true });
assert.equal(shown.anomaly_detector_job.enabled, true);
assert.equal(shown.realtime_task.detector_id, id);
assert.match((await ask("POST", `${AD}/${id}/_start`)).error.reason, /already running/);
const latest = { query: { bool: { filter: [{ term: { detector_id: id } }, { term: { is_latest: "true" } }] } } };
for (const method of ["GET", "POST"]) {
  const found = await ask(method, `${AD}/tasks/_search`, latest);
  assert.equal(found.hits.total.value, 1);
  assert.equal(found.hits.hits[0]._source.state, "CREATED");
}
assert.equal((await ask("GET", `${AD}/${id}/_profile/state`)).state, "INIT");
assert.equal((await ask("POST", `${AD}/${id}/_stop`))._id, id);

const history = await ask("POST", `${AD}/${id}/_start`, { start_time: 1, end_time: 2 });
assert.equal((await ask("POST", `${AD}/${id}/_stop`, undefined, { historical: true }))._id, history._id);
const query = { if_seq_no: created._seq_no, if_primary_term: 1 };
assert.equal((await ask("PUT", `${AD}/${id}`, { ...document, description: "new" }, query))._version, 2);
assert.equal((await ask("POST", `${AD}/_search`, { query: { match: { description: "new" } } })).hits.total.value, 1);
assert.deepEqual((await ask("POST", `${AD}/results/_search`, { query: { match_all: {} } })).hits.hits, []);
const range = { start_time_ms: 1, end_time_ms: 2 };
assert.deepEqual(await ask("POST", `${AD}/${id}/results/_topAnomalies`, range), { buckets: [] });
assert.equal((await ask("GET", "/_plugins/_anomaly_detection/stats/detector_count")).detector_count, 1);
assert.equal((await ask("DELETE", `${AD}/${id}`)).result, "deleted");

const missing = await ask("GET", `${AD}/${id}`).catch((error) => error);
assert.ok(missing instanceof errors.ResponseError);
assert.equal(missing.statusCode, 404);
assert.equal(missing.meta.body.error.reason, `Can't find config with id: ${id}`);
const refused = await ask("GET", AD).catch((error) => error);
assert.equal(refused.statusCode, 405);
console.log("done");
