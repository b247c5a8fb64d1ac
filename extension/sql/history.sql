-- history.sql: what a token was, hour by hour.

-- As delivered ("btc") or as listed.
CREATE FUNCTION defidata.known_token(symbol text) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN COALESCE((SELECT t.token FROM defidata.token_stats t WHERE t.token = symbol),
                    defidata.clean(symbol), symbol);
END
$$;
COMMENT ON FUNCTION defidata.known_token(text) IS
    'the token that a symbol typed by a user stands for; the symbol itself where it is none';

CREATE FUNCTION defidata.history(token text, span interval)
    RETURNS TABLE (hour timestamptz, mentions bigint, sentiment float8, price float8)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
DECLARE
    latest  timestamptz;
    since   timestamptz;
    subject text;
    max_age interval;
    in_currency constant text := defidata.currency_name(defidata.setting_value('currency'));
BEGIN
    IF history.token IS NULL THEN
        RAISE EXCEPTION 'token must not be null' USING ERRCODE = 'invalid_parameter_value';
    ELSIF span IS NULL OR span < '1 hour' OR span > '100 years' THEN
        RAISE EXCEPTION 'span must be at least 1 hour and at most 100 years'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    max_age := defidata.setting_value('price_max_age');
    subject := defidata.known_token(history.token);
    SELECT p.latest_hour INTO latest FROM defidata.publication p;
    since := defidata.hour_of(latest - span) + interval '1 hour';
    RETURN QUERY
    -- an hour without a quote has the last one before it, unless that is too old
    WITH quote AS MATERIALIZED (
        SELECT DISTINCT ON (1) defidata.hour_of(p.at - interval '1 microsecond') AS hour,
               p.at, p.price
          FROM defidata.token_asset a
          JOIN defidata.prices p ON p.token = a.quoted AND p.source = a.source AND p.asset = a.asset
         WHERE a.token = subject AND p.reason IS NULL
           AND COALESCE(p.currency, in_currency) = in_currency
           AND p.at > since - max_age AND p.at <= latest + interval '1 hour'
         ORDER BY 1, p.at DESC, p.id DESC)
    SELECT c.hour, CASE WHEN h.observed THEN COALESCE(e.mentions, 0) END, e.sentiment,
           CASE WHEN c.at > c.hour + interval '1 hour' - max_age THEN c.price END
      FROM (SELECT d.hour, d.at,
                   first_value(d.price) OVER (PARTITION BY d.at ORDER BY d.hour) AS price
              FROM (SELECT t.hour, q.price, max(q.at) OVER (ORDER BY t.hour) AS at
                      FROM (SELECT generate_series(since, latest, interval '1 hour') AS hour
                            UNION
                            SELECT b.hour FROM quote b) t
                      LEFT JOIN quote q ON q.hour = t.hour) d) c
      LEFT JOIN defidata.hours h ON h.hour = c.hour
      LEFT JOIN (SELECT e.*
                   FROM defidata.mention_series s, LATERAL defidata.entries(s.series) e
                  WHERE s.token = subject AND s.start >= defidata.week_of(since)
                    AND s.start <= latest) e ON e.hour = c.hour
     WHERE c.hour >= since
     ORDER BY c.hour;
END
$$;
COMMENT ON FUNCTION defidata.history(text, interval) IS
    'the hours of a token; see defidata_history';
