// The documents and the report through a real HTTP server and a real browser.
//
//     node http_test.js
//
// needs a PostgreSQL with defidata where the PG* variables point to, as a
// superuser who may log in without a password; it makes the database and the role
// defidata_http_test there and removes them.  CHROMIUM names a browser, SCREENSHOTS
// a directory for pictures of the pages.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { request as httpRequest } from 'node:http';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createDatabase, removeDatabase } from './database.js';
import { serve } from './server.js';

const NAME = 'defidata_http_test';
const HOSTILE = ['<script>alert(1)</script>', '"><img src=x onerror=alert(1)>', "' OR 1=1; --", '&lt;b&gt;'];
const ROUTES = ['/trending', '/volatile', '/decreasing', '/alltweets', '/tokens', '/tokenstats/btc', '/history/btc', '/topStats'];

let owner;
let server;

// Fifteen days up to the last hour, with an outage of 6 hours: a dozen well-known
// tokens, some of which rise or fall, and some whose names would be markup.
async function fill() {
  await owner.query(`SELECT defidata_set('symbol_pattern', '^.{1,40}$')`);
  await owner.query(`
    CREATE TABLE scanned AS
    SELECT i || '-' || s.symbol AS id, (EXTRACT(epoch FROM date_trunc('hour', now())) - 3600 * (i + 1))::integer AS "timestamp", s.symbol,
           round((20 + 100.0 / s.n) * (1 + i % 7 / 10.0) * CASE WHEN i < 24 THEN 0.4 + s.n % 4 ELSE 1 END)::float8 AS count, sin(s.n + i)::float8 AS sentiment
      FROM generate_series(0, 359) i,
           unnest('{BTC,ETH,SOL,XRP,DOGE,ADA,LINK,UNI,AAVE,SUSHI,LTC,DOT}'::text[] || $1::text[]) WITH ORDINALITY s (symbol, n)
     WHERE i NOT BETWEEN 100 AND 105`, [HOSTILE]);
  await owner.query('ALTER TABLE scanned ADD PRIMARY KEY (id)');
  await owner.query(`SELECT defidata_load_prices(jsonb_agg(jsonb_build_object('id', 'bitcoin', 'symbol', 'btc', 'current_price', 60000 + 100 * i,
      'market_cap', 1e12, 'last_updated', now() - make_interval(hours => i)))) FROM generate_series(1, 200) i`);
  await owner.query(`SELECT defidata_attach('scanned', 'mentions', 'scanned')`);
  await refresh();
  await owner.query(`SELECT defidata_grant('${NAME}', 'reader')`);
}

async function refresh() {
  const { rows } = await owner.query('SELECT status FROM defidata_refresh()');
  assert.equal(rows[0].status, 'ok');
}

// correct changes a figure of the latest hour, which the next refresh publishes.
const correct = () => owner.query(`UPDATE scanned SET count = count + 1 WHERE id LIKE '0-%'`);

// get is fetch with a path of this server.
const get = (path, options) => fetch(`http://127.0.0.1:${server.port}${path}`, options);

// until waits for a condition and fails when it takes more than 5 seconds.
async function until(condition, what) {
  for (let tries = 0; tries < 500; tries += 1) {
    if (await condition()) {
      return;
    }
    await sleep(10);
  }
  assert.fail(what);
}

before(async () => {
  owner = await createDatabase(NAME, NAME);
  await fill();
  server = await serve({ connection: { database: NAME, user: NAME } });
});

after(async () => {
  await server?.close();
  await owner?.end();
  await removeDatabase(NAME, NAME);
});

test('every route of the old frontend, in any case', async () => {
  for (const route of ROUTES) {
    const bodies = new Set();
    for (const path of [route, route.toLowerCase(), route.toUpperCase(), `${route}/`, `${route}?x=1`]) {
      const response = await get(path);
      assert.equal(response.status, 200, path);
      assert.equal(response.headers.get('content-type'), 'application/json', path);
      bodies.add(await response.text());
    }
    assert.equal(bodies.size, 1, route);
  }
});

test('bodies are rows with the columns of their tables', async () => {
  const json = async (path) => (await get(path)).json();
  for (const board of ['trending', 'volatile', 'decreasing']) {
    const rows = await json(`/${board}`);
    assert.equal(rows.length, 10);
    assert.deepEqual(rows.map((row) => row.rank), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    assert.ok(rows.every((row) => typeof row.token === 'string' && Number.isFinite(row.value)));
    assert.deepEqual((await json('/topstats'))[board], rows);
  }
  assert.equal((await json('/tokens')).length, 12 + HOSTILE.length);
  assert.equal((await json('/tokenstats')).length, 12 + HOSTILE.length);
  const btc = await json('/tokenstats/btc');
  assert.equal(btc.token, 'BTC');
  assert.equal(btc.price, 60100);
  const history = await json('/history/btc');
  assert.equal(history.length, 168);
  assert.equal(history.filter((hour) => hour.mentions === null).length, 6);
  assert.equal(history.at(-1).mentions, btc.mentions);
  const { rows } = await owner.query('SELECT sum(mentions)::float8 AS sum FROM defidata.daily_mentions');
  assert.equal((await json('/alltweets')).reduce((sum, day) => sum + day.mentions, 0), rows[0].sum);
});

test('hostile names arrive as they are', async () => {
  const names = (await (await get('/tokens')).json()).map((row) => row.token);
  for (const name of HOSTILE) {
    assert.ok(names.includes(name.toUpperCase()), name);
    const response = await get(`/tokenstats/${encodeURIComponent(name)}`);
    assert.equal((await response.json()).token, name.toUpperCase());
  }
});

test('an ETag saves the body', async () => {
  for (const path of [...ROUTES, '/', '/report/btc']) {
    const etag = (await get(path)).headers.get('etag');
    for (const header of [etag, `W/${etag}`, `"other", ${etag}`, '*', etag.replace(/"$/, '-gzip"'), ` "x" , W/${etag.replace(/"$/, '--br"')}`]) {
      const response = await get(path, { headers: { 'If-None-Match': header } });
      assert.equal(response.status, 304, `${path} ${header}`);
      assert.equal(response.headers.get('etag'), etag);
      assert.equal(await response.text(), '');
    }
    for (const header of ['"other"', etag.slice(1, -1), etag.replace(/"$/, 'x"'), `"x${etag.slice(1)}`]) {
      assert.equal((await get(path, { headers: { 'If-None-Match': header } })).status, 200, `${path} ${header}`);
    }
    const head = await get(path, { method: 'HEAD' });
    assert.deepEqual([head.status, head.headers.get('etag'), await head.text()], [200, etag, '']);
  }
});

test('what is not there, and what is not asked rightly', async () => {
  // fetch would mend some of these paths
  const status = (path, method = 'GET') => new Promise((resolve, reject) => {
    httpRequest({ port: server.port, path, method }, (response) => resolve(response.resume().statusCode)).on('error', reject).end();
  });
  for (const path of ['/nothing', '/history', '/history/%24%24', '/tokenstats/', '/tokenstats/a/../btc', '//', '/..', '/%00', `/history/${'x'.repeat(5000)}`]) {
    assert.equal(await status(path), path === '/tokenstats/' ? 200 : 404, path);
  }
  assert.equal(await status('/%zz'), 400);
  assert.equal(await status('/trending', 'POST'), 405);
});

test('a publication, and nothing else, drops what is kept', async () => {
  const first = await get('/topstats');
  const second = await get('/topstats');
  assert.equal(second.headers.get('x-cache'), 'hit');
  const former = await first.json();
  await refresh();
  await sleep(100);
  assert.equal((await get('/topstats')).headers.get('x-cache'), 'hit');
  await correct();
  await refresh();
  await until(async () => (await get('/topstats')).headers.get('etag') !== first.headers.get('etag'), 'the new generation is not served');
  const now = await (await get('/topstats')).json();
  assert.equal(now.generation, former.generation + 1);
  assert.equal(now.trending[0].mentions, former.trending[0].mentions + 1);
  // a document that did not change keeps its ETag
  assert.equal((await get('/tokens', { headers: { 'If-None-Match': (await get('/tokens')).headers.get('etag') } })).status, 304);
});

test('a lost listener costs the cache, not the service', async () => {
  await get('/trending');
  await owner.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '${NAME}'`);
  await until(async () => (await get('/trending')).status === 200, 'the server does not come back');
  await until(async () => (await get('/trending')).headers.get('x-cache') === 'hit', 'nothing is kept any more');
  const etag = (await get('/trending')).headers.get('etag');
  await correct();
  await refresh();
  await until(async () => (await get('/trending')).headers.get('etag') !== etag, 'nobody listens any more');
});

test('8 clients during 25 refreshes see whole boards and never an error', async () => {
  const paths = ['/topstats', '/trending', '/history/btc', '/tokenstats', '/'];
  let stop = false;
  let requests = 0;
  let last;
  const clients = Array.from({ length: 8 }, async (_, client) => {
    let generation = 0;
    for (let i = client; !stop; i += 1) {
      const path = paths[i % paths.length];
      const response = await get(path);
      requests += 1;
      assert.equal(response.status, 200, path);
      const body = path === '/' ? null : await response.json();
      if (path === '/topstats') {
        assert.ok(body.generation >= generation, 'generations only grow');
        generation = body.generation;
        last = Math.max(last ?? 0, generation);
        for (const board of [body.trending, body.volatile, body.decreasing]) {
          assert.equal(board.length, 10);
          assert.equal(new Set(board.map((row) => row.hour)).size, 1);
        }
      } else if (body === null) {
        assert.match(await response.text(), /<\/html>\s*$/);
      } else {
        assert.ok(body.length >= 10, path);
      }
    }
  });
  const refreshes = (async () => {
    for (let i = 0; i < 25; i += 1) {
      await correct();
      await refresh();
    }
    await sleep(100);
    stop = true;
  })();
  await Promise.all([...clients, refreshes]).finally(() => { stop = true; });
  const { rows } = await owner.query('SELECT generation::integer FROM defidata.publication');
  assert.equal((await (await get('/topstats')).json()).generation, rows[0].generation);
  assert.ok(requests > 100, `${requests} requests`);
});

// browserPath finds a Chromium that starts, or returns undefined.
function browserPath() {
  for (const name of [process.env.CHROMIUM, 'chromium', 'chromium-browser', 'google-chrome']) {
    try {
      return execFileSync('sh', ['-c', 'command -v "$1" && "$1" --version >/dev/null 2>&1', 'sh', name ?? ''], { encoding: 'utf8' }).trim();
    } catch {
      // the next one
    }
  }
  return undefined;
}

// findings is evaluated in the page: what a reader of it would be troubled by.
function findings() {
  const channels = (color) => color.match(/[\d.]+/g).map(Number);
  const luminance = (color) => {
    const [r, g, b] = channels(color).slice(0, 3).map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const background = (element) => {
    const color = getComputedStyle(element).backgroundColor;
    return channels(color)[3] === 0 && element.parentElement ? background(element.parentElement) : color;
  };
  const contrast = (element) => {
    const [light, dark] = [luminance(getComputedStyle(element).color), luminance(background(element))].sort((a, b) => b - a);
    return (light + 0.05) / (dark + 0.05);
  };
  const hasText = (element) => [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim());
  return {
    overflow: document.documentElement.scrollWidth - innerWidth,
    faint: [...document.body.querySelectorAll('*')].filter((e) => hasText(e) && e.namespaceURI.endsWith('xhtml') && contrast(e) < 4.5)
      .map((e) => `${e.tagName} ${e.className} ${e.textContent} ${contrast(e).toFixed(2)}`),
    active: document.querySelectorAll('script, img, iframe, object, [onerror]').length,
    // where the screen is narrow the last two columns of a board may be scrolled to
    cut: [...document.querySelectorAll(innerWidth < 1000 ? '.board :is(th, td):nth-child(6)' : '.board :is(th, td)')]
      .filter((e) => e.getBoundingClientRect().right > e.closest('.scroll').getBoundingClientRect().right + 1).map((e) => e.textContent),
    drawings: document.querySelectorAll('svg path, svg rect').length,
    text: document.body.innerText,
    quirks: document.compatMode !== 'CSS1Compat',
  };
}

test('the report in a browser', async (t) => {
  const executablePath = browserPath();
  const puppeteer = await import('puppeteer-core').catch(() => undefined);
  if (executablePath === undefined || puppeteer === undefined) {
    t.skip(executablePath === undefined ? 'there is no Chromium' : 'npm package puppeteer-core is not installed');
    return;
  }
  const browser = await puppeteer.default.launch({ executablePath, args: ['--no-sandbox', '--disable-dev-shm-usage'] });
  t.after(() => browser.close());
  const paths = { report: '/', token: '/report/btc', hostile: `/report/${encodeURIComponent(HOSTILE[0])}`, unknown: '/report/%3Cb%3E' };
  for (const [name, path] of Object.entries(paths)) {
    for (const scheme of ['light', 'dark']) {
      for (const width of [390, 1280]) {
        const where = `${name} ${scheme} ${width}`;
        const page = await browser.newPage();
        const complaints = [];
        page.on('console', (message) => complaints.push(message.text()));
        page.on('pageerror', (error) => complaints.push(error.message));
        page.on('requestfailed', (request) => complaints.push(request.url()));
        page.on('dialog', (dialog) => { complaints.push(dialog.message()); dialog.dismiss(); });
        await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }]);
        await page.setViewport({ width, height: 900 });
        await page.goto(`http://127.0.0.1:${server.port}${path}`, { waitUntil: 'load' });
        const found = await page.evaluate(findings);
        assert.deepEqual(complaints, [], where);
        assert.ok(found.overflow <= 0, `${where}: ${found.overflow} pixels too wide`);
        assert.deepEqual(found.faint, [], where);
        assert.deepEqual(found.cut, [], where);
        assert.equal(found.active, 0, where);
        assert.equal(found.quirks, false, where);
        assert.ok(name === 'unknown' || found.drawings >= 3, where);
        for (const text of name === 'report' ? HOSTILE : name === 'hostile' ? [HOSTILE[0]] : []) {
          assert.ok(found.text.includes(text.toUpperCase()), `${where}: ${text}`);
        }
        if (process.env.SCREENSHOTS) {
          await page.screenshot({ path: `${process.env.SCREENSHOTS}/${name}-${scheme}-${width}.png`, fullPage: true });
        }
        await page.close();
      }
    }
  }
});
