// A consumer of alerts: prints each event of defidata.alert_event once, whatever happens to
// it in between.
//
//     node alerts.js events.jsonl
//
// The file is what it does and where it stands in one: the last line holds the id that it
// reads on from.  Whoever does something else with an event keeps that id together with it,
// in one transaction say.  NOTIFY only says when to look; what came while nobody listened is
// found by the id.  The connection comes from the usual PG* variables; its role needs no more
// than SELECT defidata_grant('role', 'reader').

import { appendFileSync, existsSync, readFileSync, truncateSync } from 'node:fs';
import pg from 'pg';

const file = process.argv[2];

// lastId reads where it stood; a line that was not written to its end does not count.
function lastId() {
  const text = existsSync(file) ? readFileSync(file, 'utf8') : '';
  const whole = text.slice(0, text.lastIndexOf('\n') + 1);
  if (whole.length < text.length) {
    truncateSync(file, Buffer.byteLength(whole));
  }
  return whole === '' ? 0 : JSON.parse(whole.trimEnd().split('\n').at(-1)).id;
}

let last = lastId();
let reading = Promise.resolve();
const client = new pg.Client();

// read takes what is new, a thousand at a time.
async function read() {
  const { rows } = await client.query(
    'SELECT * FROM defidata.alert_event WHERE id > $1 ORDER BY id LIMIT 1000', [last]);
  for (const row of rows) {
    appendFileSync(file, JSON.stringify(row) + '\n');
    last = row.id;
  }
  return rows.length === 1000 ? read() : undefined;
}

await client.connect();
await client.query('LISTEN defidata_alert');
client.on('notification', () => { reading = reading.then(read); });
reading = reading.then(read);
