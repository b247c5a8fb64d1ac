// Every event of alert_event reaches a consumer once and in order, though it is killed again
// and again, and hears of new ones while it lives.
//
//     node alerts_test.js
//
// needs a PostgreSQL with defidata where the PG* variables point to, as a superuser who may
// log in without a password; it makes the database and the role defidata_alerts_test there
// and removes them.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { createDatabase, removeDatabase } from './database.js';

const NAME = 'defidata_alerts_test';
const directory = mkdtempSync(join(tmpdir(), 'alerts-'));
const file = join(directory, 'events.jsonl');
let owner;

// deliver puts an hour into the source and runs a cycle; hours are counted up to the last one.
async function deliver(hour) {
  await owner.query(`INSERT INTO scanned SELECT $1 || s, (EXTRACT(epoch FROM date_trunc('hour', now())) - 3600 * (100 - $1::int))::integer, s,
      20 + abs(hashtext($1 || s)) % 40 FROM unnest('{BTC,ETH,SOL,XRP,DOGE,ADA}'::text[]) s`, [String(hour)]);
  assert.equal((await owner.query('SELECT status FROM defidata_refresh()')).rows[0].status, 'ok');
}

const written = () => (existsSync(file) ? readFileSync(file, 'utf8') : '').split('\n').slice(0, -1).map((line) => JSON.parse(line));
const events = async () => (await owner.query('SELECT * FROM defidata.alert_event ORDER BY id')).rows;

// consume starts a consumer, as the reader.
function consume() {
  const child = spawn(process.execPath, ['alerts.js', file], {
    cwd: fileURLToPath(new URL('.', import.meta.url)), stdio: 'inherit', env: { ...process.env, PGDATABASE: NAME, PGUSER: NAME } });
  const ended = new Promise((resolve) => { child.on('exit', resolve); });
  return async () => {
    child.kill('SIGKILL');
    await ended;
  };
}

// caughtUp waits until a consumer has written as many events as there are.
async function caughtUp() {
  const wanted = (await events()).length;
  for (let i = 0; i < 600 && written().length < wanted; i++) {
    await sleep(50);
  }
}

before(async () => {
  owner = await createDatabase(NAME, NAME);
  await owner.query('CREATE TABLE scanned (id text PRIMARY KEY, "timestamp" integer, symbol text, count float8)');
  await owner.query(`SELECT defidata_attach('scanned', 'mentions', 'scanned'), defidata_grant('${NAME}', 'reader')`);
  await deliver(40);
  await owner.query(`SELECT defidata_add_alert('loud', 'mentions', 45, 40, rearm => '0', min_mentions => 0)`);
});

after(async () => {
  await owner.end();
  await removeDatabase(NAME, NAME);
  rmSync(directory, { recursive: true });
});

test('each event once and in order, through restarts', async () => {
  for (let hour = 41; hour < 71; hour++) {
    const stop = hour % 3 === 0 ? null : consume();
    await deliver(hour);
    // at some moment or other, before it reads, while, and after
    await sleep((hour * 37) % 400);
    await stop?.();
  }
  const stop = consume();
  await caughtUp();
  await stop();
  const all = await events();
  assert.ok(all.length > 30, `${all.length} events`);
  assert.ok(all.some((e) => e.event === 'ended'));
  assert.deepEqual(written(), JSON.parse(JSON.stringify(all)));
});

test('whoever listens is told', async () => {
  const stop = consume();
  await caughtUp();
  const before = written().length;
  for (let hour = 71; hour < 76; hour++) {
    await deliver(hour);
    await caughtUp();
  }
  assert.ok(written().length > before);
  await stop();
  assert.deepEqual(written().map((e) => e.id), (await events()).map((e) => e.id));
});
