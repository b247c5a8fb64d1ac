// What Prometheus is told of the pipeline, by promtool and by a real Prometheus.
//
//     node metrics_test.js
//
// needs a PostgreSQL with defidata where the PG* variables point to, as a superuser who may
// log in without a password; it makes the database defidata_metrics_test and two roles there
// and removes them.  What needs prometheus and promtool is skipped where they are not there.

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { createDatabase, removeDatabase } from './database.js';
import { serve } from './server.js';

const NAME = 'defidata_metrics_test';
const READER = 'defidata_metrics_reader';
const RULES = fileURLToPath(new URL('../../doc/prometheus_rules.yml', import.meta.url));
const directory = mkdtempSync(join(tmpdir(), 'prometheus-'));
const found = ['prometheus', 'promtool'].every((program) => spawnSync(program, ['--version']).status === 0);
const skip = found ? false : 'there is no prometheus with promtool (Debian: prometheus)';

let owner;
let server;

before(async () => {
  owner = await createDatabase(NAME, NAME, READER);
  await owner.query(`CREATE TABLE scanned AS
    SELECT i || s AS id, (EXTRACT(epoch FROM date_trunc('hour', now())) - 3600 * i)::integer AS "timestamp", s AS symbol, 100.0::float8 AS count
      FROM generate_series(12, 24) i, unnest('{BTC,ETH,SOL}'::text[]) s`);
  // a label that needs every escape, and one that is not ASCII
  await owner.query(`SELECT defidata_attach($1, 'mentions', 'scanned')`, ['a "source"\\\nin Zürich']);
  assert.equal((await owner.query('SELECT status FROM defidata_refresh()')).rows[0].status, 'ok');
  await owner.query(`SELECT defidata_grant('${NAME}', 'analyst'), defidata_grant('${READER}', 'reader')`);
  server = await serve({ connection: { database: NAME, user: NAME } });
});

after(async () => {
  await server?.close();
  await owner?.end();
  await removeDatabase(NAME, NAME, READER);
  rmSync(directory, { recursive: true });
});

const get = (path, port = server.port) => fetch(`http://127.0.0.1:${port}${path}`);

// promtool fails the test with what it says against its input.
function promtool(args, input) {
  const { status, stdout, stderr } = spawnSync('promtool', args, { input, encoding: 'utf8' });
  assert.equal(status, 0, `${stdout}${stderr}`);
  assert.equal(stderr.replace(/^\s+$/, ''), '');
}

test('/metrics is there for an analyst, fresh each time, and not for a reader', async () => {
  const response = await get('/metrics');
  assert.equal(response.status, 200);
  assert.equal(response.headers.get('content-type'), 'application/openmetrics-text; version=1.0.0; charset=utf-8');
  assert.match(await response.text(), /\n# EOF\n$/);
  const age = async () => Number(/^defidata_latest_hour_age_seconds (.*)$/m.exec(await (await get('/METRICS/')).text())[1]);
  const former = await age();
  assert.ok(await age() > former, 'it is kept');
  const readers = await serve({ connection: { database: NAME, user: READER } });
  assert.equal((await get('/metrics', readers.port)).status, 404);
  await readers.close();
});

test('promtool finds no fault with metrics, names and rules', { skip }, async () => {
  promtool(['check', 'metrics'], await (await get('/metrics')).text());
  promtool(['check', 'rules', RULES]);
  promtool(['test', 'rules', fileURLToPath(new URL('prometheus_rules_test.yml', import.meta.url))]);
});

// freePort returns a port of 127.0.0.1 that nobody listens on.
const freePort = () => new Promise((resolve) => {
  const probe = createServer().listen(0, '127.0.0.1', () => {
    const { port } = probe.address();
    probe.close(() => resolve(port));
  });
});

// startPrometheus starts one that asks our server each second, and returns its port and a
// function that ends it.
async function startPrometheus() {
  const port = await freePort();
  writeFileSync(join(directory, 'prometheus.yml'), `
global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: ['${RULES}']
scrape_configs:
  - job_name: defidata
    static_configs: [{targets: ['127.0.0.1:${server.port}']}]
`);
  const child = spawn('prometheus', [`--config.file=${join(directory, 'prometheus.yml')}`, `--storage.tsdb.path=${join(directory, 'data')}`,
    `--web.listen-address=127.0.0.1:${port}`, '--log.level=error'], { stdio: ['ignore', 'inherit', 'inherit'] });
  const ended = new Promise((resolve) => { child.on('exit', resolve); });
  const stop = async () => {
    child.kill();
    await ended;
  };
  return { port, stop };
}

test('a Prometheus reads it, and its rules find what fails', { skip }, async (t) => {
  const prometheus = await startPrometheus();
  t.after(prometheus.stop);
  const ask = async (path) => {
    const response = await get(`/api/v1/${path}`, prometheus.port).catch(() => undefined);
    return response?.ok ? (await response.json()).data : undefined;
  };
  const query = async (expression) => (await ask(`query?query=${encodeURIComponent(expression)}`))?.result ?? [];
  const until = async (condition, what) => {
    for (let tries = 0; tries < 300; tries += 1) {
      const result = await condition();
      if (result) {
        return result;
      }
      await sleep(200);
    }
    return assert.fail(what);
  };
  await until(async () => (await query('up{job="defidata"} == 1')).length === 1, 'it is not scraped');
  const states = await until(async () => {
    const rows = await query('defidata_status_state');
    return rows.length > 0 && rows;
  }, 'there is no state');
  const { rows } = await owner.query(`SELECT name, array_position('{ok,warn,fail}'::text[], state) - 1 AS state FROM defidata.status ORDER BY name COLLATE "C"`);
  assert.deepEqual(states.map(({ metric, value }) => ({ name: metric.check, state: Number(value[1]) })).sort((a, b) => (a.name < b.name ? -1 : 1)), rows);
  const [lag] = await query('defidata_source_lag_seconds');
  assert.equal(lag.metric.source, 'a "source"\\\nin Zürich');
  assert.ok(Number(lag.value[1]) >= 12 * 3600);
  const { defidata_latest_hour_age_seconds: [family] } = await ask('metadata?metric=defidata_latest_hour_age_seconds');
  assert.deepEqual([family.type, family.unit], ['gauge', 'seconds']);
  // the latest hour is half a day old: the alert waits for its five minutes
  const alerts = await until(async () => {
    const standing = (await ask('alerts'))?.alerts ?? [];
    return standing.some((alert) => alert.labels.check === 'latest hour') && standing;
  }, 'no alert is on its way');
  const alert = alerts.find(({ labels }) => labels.check === 'latest hour');
  assert.deepEqual([alert.labels.alertname, alert.state], ['DefidataFails', 'pending']);
});

test('a postgres_exporter says the same under the same names', async (t) => {
  const program = ['prometheus-postgres-exporter', 'postgres_exporter'].find((name) => spawnSync(name, ['--version']).status === 0);
  if (program === undefined) {
    t.skip('there is no postgres_exporter (Debian: prometheus-postgres-exporter)');
    return;
  }
  const port = await freePort();
  const queries = fileURLToPath(new URL('../../doc/postgres_exporter.yml', import.meta.url));
  const child = spawn(program, [`--extend.query-path=${queries}`, `--web.listen-address=127.0.0.1:${port}`, '--disable-default-metrics', '--disable-settings-metrics'],
    { stdio: 'ignore', env: { ...process.env, DATA_SOURCE_NAME: `host=${owner.host} port=${owner.port} user=${NAME} dbname=${NAME} sslmode=disable` } });
  const ended = new Promise((resolve) => { child.on('exit', resolve); });
  t.after(async () => {
    child.kill();
    await ended;
  });
  let exported = '';
  for (let tries = 0; tries < 100 && exported === ''; tries += 1) {
    exported = await get('/metrics', port).then((response) => response.text(), () => '');
    await sleep(100);
  }
  const samples = (text) => new Map([...text.matchAll(/^(defidata_\w+(?:\{[^\n]*\})?) (\S+)$/gm)].map(([, name, value]) => [name.replace(/,server="[^"]*"|server="[^"]*",?/, '').replace('{}', ''), Number(value)]));
  const ours = samples(await (await get('/metrics')).text());
  const theirs = samples(exported);
  assert.ok(theirs.size > 10, exported);
  for (const [name, value] of theirs) {
    assert.ok(Math.abs(ours.get(name) - value) < 60, `${name} ${value}, not ${ours.get(name)}`);
  }
});
