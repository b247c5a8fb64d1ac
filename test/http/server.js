// An HTTP server over defidata's documents, as small as one can be: it serves
// the paths that defidata_document() answers, the report at / and a token's at
// /report/SYMBOL, and /metrics to a server whose role is an analyst.  Answers are kept in memory until the database says, by NOTIFY,
// that something new is published; while nobody listens nothing is kept.
//
// The connection comes from the usual PG* variables; its role needs no more than
// SELECT defidata_grant('role', 'reader'), and then has no /metrics.  PORT is the port to serve on (8080).

import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import pg from 'pg';

const KEPT_AT_MOST = 10000;
const OPENMETRICS = 'application/openmetrics-text; version=1.0.0; charset=utf-8';

// namesTag says whether If-None-Match names an ETag, as defidata_document does: alone, in a
// list, weak, or with the coding that a compressing proxy has added.
function namesTag(header, etag) {
  const tags = [...`,${header}`.matchAll(/([^"]*)"([^"]*)"/g)].filter(([, before]) => /^[ \t]*,[ \t,]*(W\/)?$/.test(before));
  return header.trim() === '*' || tags.some(([, , tag]) => tag.replace(/--?[a-z0-9]+$/, '') === etag.slice(1, -1));
}

// serve starts a server and returns it with a function that ends it.
export async function serve({ connection = {}, port = 0, host = '127.0.0.1' } = {}) {
  const pool = new pg.Pool({ max: 4, ...connection });
  const kept = new Map();
  let publications = 0;
  let listener = null;
  let ended = false;

  // forget drops what is kept; what is being read meanwhile will not be kept either
  const forget = () => {
    publications += 1;
    kept.clear();
  };

  // listen hears of new generations, and listenAgain when that connection is lost
  const listen = async () => {
    const client = new pg.Client(connection);
    client.on('notification', forget);
    client.on('error', () => {});
    await client.connect();
    await client.query('LISTEN defidata');
    client.on('end', listenAgain);
    listener = client;
    forget();
  };

  const listenAgain = async () => {
    listener = null;
    forget();
    while (!ended && listener === null) {
      await sleep(200);
      await listen().catch(() => {});
    }
  };

  // metrics reads what Prometheus asks for; to a reader it is not there
  const metrics = async () => {
    try {
      const { rows } = await pool.query('SELECT defidata_openmetrics() AS body');
      return { status: 200, ...rows[0] };
    } catch (error) {
      if (error.code === '42501') {
        return { status: 404 };
      }
      throw error;
    }
  };

  const read = async (path) => {
    const symbol = /^\/report\/(.+)$/is.exec(path)?.[1];
    if (path !== '/' && symbol === undefined) {
      const { rows } = await pool.query('SELECT status, body::text, etag FROM defidata_document($1)', [path]);
      return { ...rows[0], type: 'application/json' };
    }
    const { rows } = symbol === undefined
      ? await pool.query('SELECT defidata_report() AS body')
      : await pool.query('SELECT defidata_report($1) AS body', [symbol]);
    const etag = `"${createHash('sha256').update(rows[0].body).digest('hex').slice(0, 32)}"`;
    return { status: 200, body: rows[0].body, etag, type: 'text/html; charset=utf-8' };
  };

  const answer = async (path) => {
    const before = publications;
    if (kept.has(path)) {
      return { ...kept.get(path), cache: 'hit' };
    }
    const found = await read(path);
    // the description changes with boards, not with publications
    if (found.status === 200 && path.toLowerCase() !== '/openapi.json' && listener !== null && before === publications && kept.size < KEPT_AT_MOST) {
      kept.set(path, found);
    }
    return { ...found, cache: 'miss' };
  };

  const respond = async (request, response) => {
    const send = (status, headers, body) => response.writeHead(status, headers).end(request.method === 'HEAD' ? undefined : body);
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      return send(405, { Allow: 'GET, HEAD' });
    }
    let path;
    try {
      path = decodeURIComponent(request.url.replace(/\?.*/s, ''));
    } catch {
      return send(400, {});
    }
    const isMetrics = /^\/metrics\/*$/i.test(path);
    // the database cannot hold this character
    const found = path.includes('\0') ? { status: 404 } : await (isMetrics ? metrics() : answer(path));
    if (found.status === 404) {
      return send(404, { 'Content-Type': 'application/json' }, '{"error": "not found"}');
    }
    if (isMetrics) {
      return send(200, { 'Content-Type': OPENMETRICS, 'Cache-Control': 'no-store' }, found.body);
    }
    const headers = { ETag: found.etag, 'Cache-Control': 'no-cache', 'X-Cache': found.cache };
    const known = request.headers['if-none-match'];
    if (known !== undefined && namesTag(known, found.etag)) {
      return send(304, headers);
    }
    return send(200, { ...headers, 'Content-Type': found.type, 'X-Content-Type-Options': 'nosniff' }, found.body);
  };

  pool.on('error', () => {});
  await listen();
  const server = createServer((request, response) => {
    respond(request, response).catch((error) => {
      console.error(`${request.url}: ${error.message}`);
      response.writeHead(503, { 'Content-Type': 'application/json', 'Retry-After': '1' }).end('{"error": "database not available"}');
    });
  });
  await new Promise((resolve, reject) => server.once('error', reject).listen(port, host, resolve));

  const close = async () => {
    ended = true;
    await new Promise((resolve) => {
      server.close(resolve);
      server.closeAllConnections();
    });
    await listener?.end();
    await pool.end();
  };
  return { port: server.address().port, close };
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const { port } = await serve({ port: Number(process.env.PORT ?? 8080) });
  console.log(`http://127.0.0.1:${port}/`);
}
