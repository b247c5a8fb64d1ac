-- document.sql: what an API server serves, ready made.

CREATE FUNCTION defidata.body_etag(body json) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN '"' || pg_catalog.md5(body::text) || '"';
COMMENT ON FUNCTION defidata.body_etag(json) IS
    'the ETag of a body, in quotes as HTTP has it; changes if and only if the body does';

CREATE FUNCTION defidata.rows_query(relation text, key text) RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN format('(SELECT COALESCE(json_agg(t ORDER BY t.%I), ''[]'') FROM defidata.%I t)',
                  key, relation);
COMMENT ON FUNCTION defidata.rows_query(text, text) IS
'the query, in parentheses, of the rows of a relation in schema defidata as a JSON array in the
order of a key';

-- A board that is not there is an empty one to /topstats.
CREATE FUNCTION defidata.board_rows_query(board text) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    RETURN CASE WHEN defidata.has_board_view(board) THEN defidata.rows_query(board, 'rank')
                ELSE '(SELECT json ''[]'')' END;
COMMENT ON FUNCTION defidata.board_rows_query(text) IS
    'the query, in parentheses, of the rows of a board as a JSON array';

CREATE FUNCTION defidata.document_queries() RETURNS TABLE (path text, query text)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN QUERY
    SELECT '/tokenstats', defidata.rows_query('token_stats', 'token')
    UNION ALL
    SELECT '/alltweets', defidata.rows_query('daily_mentions', 'day')
    UNION ALL
    SELECT '/alerts', defidata.rows_query('alerts', 'id')
    UNION ALL
    SELECT '/tokens', '(SELECT COALESCE(json_agg(json_build_object(''token'', t.token,'
                      ' ''name'', t.name) ORDER BY t.token), ''[]'')'
                      ' FROM defidata.token_stats t)'
    UNION ALL
    SELECT '/topstats',
           format('(SELECT json_build_object(''generation'', p.generation, ''latest_hour'','
                  ' p.latest_hour, ''trending'', %s, ''volatile'', %s, ''decreasing'', %s)'
                  ' FROM defidata.publication p)',
                  defidata.board_rows_query('trending'), defidata.board_rows_query('volatile'),
                  defidata.board_rows_query('decreasing'))
    UNION ALL
    SELECT '/' || b.name, defidata.board_rows_query(b.name) FROM defidata.board b
     WHERE b.name NOT IN ('tokenstats', 'alltweets', 'alerts', 'tokens', 'topstats');
END
$$;
COMMENT ON FUNCTION defidata.document_queries() IS
'the stored documents, each with the query of its body, in parentheses; a board named like one of
the other paths has none';

-- A body goes straight from its query into its row, for it may be large; and only where it
-- differs, for only then does it get the new generation.
CREATE FUNCTION defidata.publish_document(document text, query text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off SET timezone = 'UTC'
    SET extra_float_digits = 1
AS $$
BEGIN
    EXECUTE format($sql$
        INSERT INTO defidata.document AS d (path, body, etag, generation, published_at)
        SELECT $1, n.body, defidata.body_etag(n.body), p.generation, p.published_at
          FROM (SELECT %s AS body OFFSET 0) n CROSS JOIN defidata.publication p
        ON CONFLICT (path) DO UPDATE
           SET body = excluded.body, etag = excluded.etag, generation = excluded.generation,
               published_at = excluded.published_at
         WHERE d.etag <> excluded.etag
        $sql$, query) USING document;
EXCEPTION WHEN program_limit_exceeded OR out_of_memory OR internal_error THEN
    -- beyond 1 GB no text can be built; where exactly that shows differs (an allocation
    -- that is too large is internal_error)
    RAISE WARNING 'document % is left out: %', document, SQLERRM
        USING HINT = 'No value can be larger than 1 GB; read the table in parts instead.';
    DELETE FROM defidata.document d WHERE d.path = document;
END
$$;
COMMENT ON FUNCTION defidata.publish_document(text, text) IS
    'brings a document up to its query; a WARNING, and no document, where it is too large';

CREATE FUNCTION defidata.publish_documents() RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM defidata.publish_document(d.path, d.query) FROM defidata.document_queries() d;
    DELETE FROM defidata.document d
     WHERE d.path NOT IN (SELECT q.path FROM defidata.document_queries() q);
END
$$;
COMMENT ON FUNCTION defidata.publish_documents() IS
    'brings the documents up to what the published tables say';

-- Documents of one token are made on request.
CREATE FUNCTION defidata.token_body(kind text, symbol text) RETURNS json
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET timezone = 'UTC'
    SET extra_float_digits = 1 SET jit = off
AS $$
DECLARE
    subject constant text := defidata.known_token(symbol);
BEGIN
    RETURN CASE kind
        WHEN 'tokenstats' THEN
            (SELECT to_json(t) FROM defidata.token_stats t WHERE t.token = subject)
        WHEN 'history' THEN
            (SELECT json_agg(h ORDER BY h.hour) FROM defidata.history(subject, '7 days') h
              WHERE EXISTS (SELECT FROM defidata.token_stats t WHERE t.token = subject)) END;
END
$$;
COMMENT ON FUNCTION defidata.token_body(text, text) IS
'the body of /tokenstats/SYMBOL or /history/SYMBOL; NULL for a token that token_stats does not
have';

-- Each tag of the list (RFC 9110, 8.8.3 and 13.1.2) with what stands before it: text is taken
-- in pairs of quotes from the left, so that no part of a tag is taken for one.  A tag that a
-- proxy wrote for a body that it compressed names the coding behind ours: "ETAG-gzip" (Apache),
-- "ETAG--gzip" (Jetty).
CREATE FUNCTION defidata.names_etag(if_none_match text, etag text) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN COALESCE(
        if_none_match ~ '^[ \t]*\*[ \t]*$'
        OR EXISTS (SELECT FROM regexp_matches(',' || if_none_match, '([^"]*)"([^"]*)"', 'g') m (tag)
                    WHERE m.tag[1] ~ '^[ \t]*,[ \t,]*(W/)?$'
                      AND starts_with(m.tag[2], trim(etag, '"'))
                      AND substr(m.tag[2], length(etag) - 1) ~ '^(--?[a-z0-9]+)?$'), false);
COMMENT ON FUNCTION defidata.names_etag(text, text) IS
'whether the HTTP header If-None-Match names an ETag, by weak comparison and whatever coding a proxy
has added to it; false for NULL';

CREATE FUNCTION defidata.document(path text, if_none_match text, OUT status integer,
                                  OUT body json, OUT etag text, OUT generation bigint,
                                  OUT published_at timestamptz)
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
        SELECT p.generation, p.published_at, b.body, defidata.body_etag(b.body)
          INTO generation, published_at, body, etag
          FROM defidata.publication p,
               defidata.token_body(kind, substr(wanted, length(kind) + 3)) b (body)
         WHERE b.body IS NOT NULL;
    END IF;
    IF body IS NULL AND lower(wanted COLLATE "C") = '/live' THEN
        SELECT p.generation, b.as_of, b.body, defidata.body_etag(b.body)
          INTO generation, published_at, body, etag
          FROM defidata.publication p, defidata.live_body() b
         WHERE b.body IS NOT NULL;
    END IF;
    IF body IS NULL AND lower(wanted COLLATE "C") = '/openapi.json' THEN
        SELECT p.generation, p.published_at, b.body, defidata.body_etag(b.body)
          INTO generation, published_at, body, etag
          FROM defidata.publication p,
               defidata.openapi(ARRAY(SELECT q.path FROM defidata.document_queries() q)) b (body);
    END IF;
    status := 200;
    IF body IS NULL THEN
        status := 404;
    ELSIF defidata.names_etag(if_none_match, etag) THEN
        status := 304;
        body := NULL;
    END IF;
END
$$;
COMMENT ON FUNCTION defidata.document(text, text) IS 'see defidata_document';
