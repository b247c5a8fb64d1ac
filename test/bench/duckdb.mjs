// What DuckDB needs for the window figures, over a table of its own in memory.
//
//     node duckdb.mjs DIRECTORY
//
// DIRECTORY holds facts.csv, windows.sql, latest.sql, filters.sql and rounds; windows.csv
// and latest.csv, for comparison, come to stand there.  Prints the milliseconds
// of each round as JSON.

import { readFileSync } from 'node:fs';
import { DuckDBInstance } from '@duckdb/node-api';

const directory = process.argv[2];
const read = (name) => readFileSync(`${directory}/${name}`, 'utf8');
const db = await (await DuckDBInstance.create(':memory:')).connect();
const windows = read('windows.sql');
const latest = read('latest.sql');
const filters = read('filters.sql');
const figures = ['sma_24h', 'sma_7d', 'sma_14d', 'sma_24h_prev', 'sma_7d_prev',
  'change_24h', 'change_7d', 'rsd_24h', 'rsd_7d', 'rsd_14d'];

// Runs a statement in each round and returns how long it took.
async function time(statement, before) {
  const passed = [];
  for (let round = 0; round < Number(read('rounds')); round++) {
    if (before) await db.run(before);
    const start = performance.now();
    await db.runAndReadAll(statement);
    passed.push(performance.now() - start);
  }
  return passed;
}

await db.run(`CREATE TABLE facts AS SELECT * FROM read_csv('${directory}/facts.csv', header = true,
  columns = {token: 'VARCHAR', hour: 'INTEGER', mentions: 'INTEGER', sentiment: 'DOUBLE'})`);
const result = {
  version: (await db.runAndReadAll('SELECT version()')).getRows()[0][0],
  latest: await time(latest),
  filters: await time(filters),
  // a figure that nothing asks for would not be computed
  counted: await time(`SELECT ${figures.map((f) => `count(${f})`)} FROM (${windows})`),
  stored: await time(`CREATE TABLE stored AS ${windows}`, 'DROP TABLE IF EXISTS stored'),
};
await db.run(`COPY (${latest}) TO '${directory}/latest.csv'`);
await db.run(`COPY (SELECT * FROM stored WHERE hour % 24 = 0) TO '${directory}/windows.csv'`);
console.log(JSON.stringify(result));
