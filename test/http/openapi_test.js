// The documents, asked for and checked by nothing but their own description.
//
//     node openapi_test.js
//
// needs a PostgreSQL with defidata where the PG* variables point to, as a superuser who may
// log in without a password; it makes the database and the role defidata_openapi_test there
// and removes them.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Validator } from '@seriousme/openapi-schema-validator';
import Ajv from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import { createDatabase, removeDatabase } from './database.js';
import { serve } from './server.js';

const NAME = 'defidata_openapi_test';
const BOARDS = ['/trending', '/decreasing', '/volatile', '/surging', '/most_mentioned', '/most_positive', '/most_negative'];

let owner;
let server;

// Sixteen days of mentions, some of them without a sentiment, and two days of prices.
before(async () => {
  owner = await createDatabase(NAME, NAME);
  await owner.query(`CREATE TABLE scanned AS
    SELECT i || s AS id, (EXTRACT(epoch FROM date_trunc('hour', now())) - 3600 * (i + 1))::integer AS "timestamp", s AS symbol,
           (50 + n * (i % 5))::float8 AS count, CASE WHEN n % 3 > 0 THEN sin(i + n) END AS sentiment
      FROM generate_series(0, 383) i, unnest('{BTC,ETH,SOL,XRP,DOGE,ADA}'::text[]) WITH ORDINALITY s (s, n) WHERE i NOT BETWEEN 50 AND 55`);
  await owner.query(`SELECT defidata_load_prices(jsonb_agg(jsonb_build_object('id', 'bitcoin', 'symbol', 'btc', 'current_price', 60000 + 100 * i,
      'market_cap', 1e12, 'last_updated', now() - make_interval(hours => i)))) FROM generate_series(1, 48) i`);
  await owner.query(`SELECT defidata_attach('scanned', 'mentions', 'scanned'), defidata_add_board('mine', 'sma_7d', 'asc', 0, 3)`);
  assert.equal((await owner.query('SELECT status FROM defidata_refresh()')).rows[0].status, 'ok');
  await owner.query(`SELECT defidata_add_alert('loud', 'mentions', 40, 30, min_mentions => 0)`);
  await owner.query(`INSERT INTO defidata.alert_event (alert, token, hour, value, event, at) VALUES ('loud', 'BTC', now(), 50, 'raised', now())`);
  assert.equal((await owner.query('SELECT status FROM defidata_refresh()')).rows[0].status, 'ok');
  await owner.query(`SELECT defidata_grant('${NAME}', 'reader')`);
  server = await serve({ connection: { database: NAME, user: NAME } });
});

after(async () => {
  await server?.close();
  await owner?.end();
  await removeDatabase(NAME, NAME);
});

const get = (path, headers = {}) => fetch(`http://127.0.0.1:${server.port}${path}`, { headers });
const describe = async () => (await get('/openapi.json')).json();

// resolve follows a reference within the description.
const resolve = (description, part) => (part.$ref === undefined ? part
  : part.$ref.slice(2).split('/').reduce((found, name) => found[name], description));

// closed is a schema of which nothing is left out: no key that it does not name.
function closed(schema) {
  if (Array.isArray(schema) || schema === null || typeof schema !== 'object') {
    return Array.isArray(schema) ? schema.map(closed) : schema;
  }
  const copy = Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, closed(value)]));
  return schema.properties === undefined ? copy : { ...copy, additionalProperties: false };
}

test('a published validator finds it valid, with boards or without', async () => {
  for (const change of ['SELECT 1', `SELECT defidata_add_board('openapi', 'mentions')`, `SELECT defidata_drop_board('openapi')`]) {
    await owner.query(change);
    const description = await describe();
    const result = await new Validator().validate(description);
    assert.deepEqual(result.errors ?? [], []);
    assert.equal(result.valid, true);
    assert.equal(description.openapi, '3.1.0');
  }
});

test('every path answers as it is described', async () => {
  const description = await describe();
  const ajv = formats(new Ajv({ strict: false, formats: { double: true, int32: true, int64: true } }));
  ajv.addSchema({ $id: 'description', components: { schemas: closed(description.components.schemas) } });
  const seen = [];
  for (const [template, { get: operation }] of Object.entries(description.paths)) {
    const parameters = operation.parameters.map((part) => resolve(description, part));
    const path = parameters.filter(({ in: place }) => place === 'path')
      .reduce((text, { name, example }) => text.replace(`{${name}}`, encodeURIComponent(example)), template);
    const response = await get(path);
    assert.equal(response.status, 200, path);
    for (const [name, part] of Object.entries(operation.responses['200'].headers)) {
      assert.equal(typeof response.headers.get(name), resolve(description, part).schema.type, `${path} ${name}`);
    }
    const [[type, { schema }]] = Object.entries(operation.responses['200'].content);
    assert.equal(response.headers.get('content-type'), type, path);
    const local = JSON.parse(JSON.stringify(closed(schema)).replaceAll('"#/', '"description#/'));
    const validate = ajv.compile(local);
    const body = await response.json();
    assert.ok(validate(body), `${path}: ${ajv.errorsText(validate.errors)}`);
    assert.ok(!Array.isArray(body) || body.length > 0, `${path} has no row to be checked`);
    // an empty object where there is a row, or another type, is none
    assert.ok(path === '/openapi.json' || !validate(Array.isArray(body) ? [{}] : {}), `${path} says nothing`);
    const header = parameters.find(({ in: place }) => place === 'header').name;
    const again = await get(path, { [header]: response.headers.get('etag') });
    assert.ok(operation.responses[again.status] !== undefined && again.status === 304, path);
    seen.push(template);
  }
  const stored = (await owner.query('SELECT path FROM defidata.document')).rows.map(({ path }) => path);
  assert.deepEqual([...stored, '/tokenstats/{symbol}', '/history/{symbol}', '/openapi.json'].sort(), seen.sort());
  assert.ok([...BOARDS, '/mine'].every((path) => seen.includes(path)));
  assert.equal((await get('/history/NOBODY')).status, 404);
});
