-- document.sql: what an API server serves, ready made.

CREATE FUNCTION defidata.body_etag(body json) RETURNS text
    IMMUTABLE PARALLEL SAFE STRICT LANGUAGE sql
    RETURN '"' || pg_catalog.md5(body::text) || '"';
COMMENT ON FUNCTION defidata.body_etag(json) IS 'the ETag of a body, in quotes as HTTP has it; changes if and only if the body does';

CREATE FUNCTION defidata.rows_query(relation text, key text) RETURNS text
    STABLE LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    -- a board that its owner has dropped is an empty one to /topstats
    RETURN CASE WHEN to_regclass(format('defidata.%I', relation)) IS NULL THEN '(SELECT json ''[]'')'
                ELSE format('(SELECT COALESCE(json_agg(t ORDER BY t.%I), ''[]'') FROM defidata.%I t)', key, relation) END;
END
$$;
COMMENT ON FUNCTION defidata.rows_query(text, text) IS 'the query, in parentheses, of the rows of a table in schema defidata as a JSON array in the order of a key';

CREATE FUNCTION defidata.document_queries() RETURNS TABLE (path text, query text)
    STABLE LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN QUERY
    SELECT '/tokenstats', defidata.rows_query('token_stats', 'token')
    UNION ALL
    SELECT '/alltweets', defidata.rows_query('daily_mentions', 'day')
    UNION ALL
    SELECT '/tokens', '(SELECT COALESCE(json_agg(json_build_object(''token'', t.token, ''name'', t.name) ORDER BY t.token), ''[]'') FROM defidata.token_stats t)'
    UNION ALL
    SELECT '/topstats', format('(SELECT json_build_object(''generation'', p.generation, ''latest_hour'', p.latest_hour, ''trending'', %s, ''volatile'', %s,'
                               ' ''decreasing'', %s) FROM defidata.publication p)', defidata.rows_query('trending', 'rank'),
                               defidata.rows_query('volatile', 'rank'), defidata.rows_query('decreasing', 'rank'))
    UNION ALL
    SELECT '/' || b.name, defidata.rows_query(b.name, 'rank') FROM defidata.board b
     WHERE b.name NOT IN ('tokenstats', 'alltweets', 'tokens', 'topstats');
END
$$;
COMMENT ON FUNCTION defidata.document_queries() IS 'the stored documents, each with the query of its body, in parentheses; a board named like one of the other paths has none';

-- Each body goes straight from its query into its row, for one may be large.
-- Only those that differ are written, and only those get the new generation.
CREATE FUNCTION defidata.publish_documents() RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off SET timezone = 'UTC' SET extra_float_digits = 1
AS $$
DECLARE
    document record;
    paths    text[] := '{}';
BEGIN
    FOR document IN SELECT d.path, d.query FROM defidata.document_queries() d LOOP
        EXECUTE format($sql$
            INSERT INTO defidata.document AS d (path, body, etag, generation, published_at)
            SELECT $1, n.body, defidata.body_etag(n.body), p.generation, p.published_at
              FROM (SELECT %s AS body OFFSET 0) n CROSS JOIN defidata.publication p
            ON CONFLICT (path) DO UPDATE
               SET body = excluded.body, etag = excluded.etag, generation = excluded.generation, published_at = excluded.published_at
             WHERE d.etag <> excluded.etag
            $sql$, document.query) USING document.path;
        paths := paths || document.path;
    END LOOP;
    DELETE FROM defidata.document d WHERE d.path <> ALL (paths);
END
$$;
COMMENT ON FUNCTION defidata.publish_documents() IS 'brings the documents up to what the published tables say';

-- Documents of one token are made on request.
CREATE FUNCTION defidata.token_body(kind text, symbol text) RETURNS json
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' SET extra_float_digits = 1 SET jit = off
AS $$
DECLARE
    subject constant text := defidata.known_token(symbol);
BEGIN
    RETURN CASE kind
        WHEN 'tokenstats' THEN (SELECT to_json(t) FROM defidata.token_stats t WHERE t.token = subject)
        WHEN 'history' THEN (SELECT json_agg(h ORDER BY h.hour) FROM defidata.history(subject, '7 days') h
                              WHERE EXISTS (SELECT FROM defidata.token_stats t WHERE t.token = subject)) END;
END
$$;
COMMENT ON FUNCTION defidata.token_body(text, text) IS 'the body of /tokenstats/SYMBOL or /history/SYMBOL; NULL for a token that token_stats does not have';

CREATE FUNCTION defidata.document(path text, if_none_match text, OUT status integer, OUT body json, OUT etag text,
                                  OUT generation bigint, OUT published_at timestamptz)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    -- no document has a path as long as that, and rtrim does not take a text of any length
    wanted constant text := CASE WHEN octet_length(path) <= 1000 THEN rtrim(path, '/') END;
    kind   constant text := lower(split_part(wanted, '/', 2) COLLATE "C");
BEGIN
    SELECT d.body, d.etag, d.generation, d.published_at INTO body, etag, generation, published_at
      FROM defidata.document d WHERE d.path = lower(wanted COLLATE "C");
    IF body IS NULL AND kind IN ('tokenstats', 'history') AND starts_with(wanted, '/') THEN
        SELECT p.generation, p.published_at, b.body, defidata.body_etag(b.body) INTO generation, published_at, body, etag
          FROM defidata.publication p, defidata.token_body(kind, substr(wanted, length(kind) + 3)) b (body)
         WHERE b.body IS NOT NULL;
    END IF;
    status := 200;
    IF body IS NULL THEN
        status := 404;
    ELSIF if_none_match = '*' OR strpos(if_none_match, etag) > 0 THEN
        status := 304;
        body := NULL;
    END IF;
END
$$;
COMMENT ON FUNCTION defidata.document(text, text) IS 'the document of a path without regard to case, percent-decoded: the paths of defidata.document, /tokenstats/SYMBOL and /history/SYMBOL. status is 200; 304 with body NULL where if_none_match, as the HTTP header has it, names the etag; or 404 with all else NULL. generation and published_at tell when the body last changed; for one token, what is published';
