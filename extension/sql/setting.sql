-- setting.sql: what can be set, its default, and the check of a value.

CREATE FUNCTION defidata.default_settings(OUT name text, OUT value text, OUT description text)
    RETURNS SETOF record
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT *
      FROM (VALUES
        ('match', 'boundary',
         'how a symbol of the list is found in a raw symbol: exact, boundary or prefix'),
        ('fold_case', 'on',
         'whether the list is compared without case and a pattern match upper-cased'),
        ('symbol_pattern', '^[A-Za-z]{1,4}$',
         'regular expression that accepts a symbol which is not listed'),
        ('use_builtin_list', 'on',
         'whether the built-in list counts beside defidata.token'),
        ('initial_span', '28 days',
         'how far back the first import reaches'),
        ('overlap', '6 hours',
         'how far behind the watermark each import looks for late and corrected rows'),
        ('settle_after', '0',
         'age that an hour, counted from its start, must have to be published'),
        ('min_coverage', '0.75',
         'share of a window''s hours that must be observed for its figures'),
        ('batch_size', '50000',
         'rows that one import batch aims at'),
        ('price_max_age', '24 hours',
         'age beyond which a price quote is not used'),
        ('currency', 'USD',
         'the currency of the prices that are published, and of quotes that name none'),
        ('raw_retention', '0',
         'age at which raw rows and prices are deleted; 0 keeps them'),
        ('metrics_retention', '0',
         'age at which facts and metrics are deleted; 0 keeps them'),
        ('history_retention', '0',
         'age at which board history and run records are deleted; 0 keeps them'),
        ('stale_after', '3 hours',
         'age of the last success from which defidata.status warns')
      ) AS defaults (name, value, description);
END;
COMMENT ON FUNCTION defidata.default_settings() IS 'every setting with its default and meaning';

CREATE FUNCTION defidata.check_setting(setting text, value text) RETURNS boolean
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    span interval;
BEGIN
    IF value IS NULL THEN
        RAISE EXCEPTION 'setting "%" must not be null', setting
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    CASE
        WHEN setting = 'match' THEN
            IF value NOT IN ('exact', 'boundary', 'prefix') THEN
                RAISE EXCEPTION 'match must be exact, boundary or prefix, not "%"', left(value, 80)
                    USING ERRCODE = 'invalid_parameter_value';
            END IF;
        WHEN setting IN ('fold_case', 'use_builtin_list') THEN
            PERFORM value::boolean;
        WHEN setting = 'symbol_pattern' THEN
            PERFORM defidata.check_pattern(value);
        WHEN setting = 'min_coverage' THEN
            -- NaN compares greater than everything
            IF NOT (value::float8 > 0 AND value::float8 <= 1) THEN
                RAISE EXCEPTION 'min_coverage must be above 0 and at most 1, not %', left(value, 80)
                    USING ERRCODE = 'invalid_parameter_value';
            END IF;
        WHEN setting = 'batch_size' THEN
            IF value::integer NOT BETWEEN 1 AND 10000000 THEN
                RAISE EXCEPTION 'batch_size must be between 1 and 10000000, not %', left(value, 80)
                    USING ERRCODE = 'invalid_parameter_value';
            END IF;
        WHEN setting = 'currency' THEN
            IF value !~ '^[A-Za-z0-9]{2,16}$' THEN
                RAISE EXCEPTION 'currency must be 2 to 16 letters or digits, not "%"',
                                left(value, 80)
                    USING ERRCODE = 'invalid_parameter_value', HINT = 'For example EUR.';
            END IF;
        WHEN setting IN ('initial_span', 'overlap', 'settle_after', 'price_max_age',
                         'raw_retention', 'metrics_retention', 'history_retention',
                         'stale_after') THEN
            span := value::interval;
            IF span <> '0' AND value ~ '^[^A-Za-z:]*$' THEN
                -- PostgreSQL would take it for seconds
                RAISE EXCEPTION '% needs a unit', setting USING ERRCODE = 'invalid_parameter_value',
                    HINT = format('For example ''%1$s hours'' or ''%1$s days''.',
                                  left(trim(value), 40));
            ELSIF span < '0' OR span > '100 years'
               OR span = '0' AND setting IN ('initial_span', 'price_max_age', 'stale_after') THEN
                RAISE EXCEPTION '% must be % and at most 100 years, not "%"', setting,
                    CASE WHEN setting IN ('initial_span', 'price_max_age', 'stale_after')
                         THEN 'above 0' ELSE 'at least 0' END, left(value, 80)
                    USING ERRCODE = 'invalid_parameter_value';
            END IF;
        ELSE
            RAISE EXCEPTION 'unrecognized setting "%"', left(setting, 80)
                USING ERRCODE = 'invalid_parameter_value',
                      HINT = (SELECT 'The settings are ' || string_agg(d.name, ', ') || '.'
                                FROM defidata.default_settings() d);
    END CASE;
    RETURN true;
EXCEPTION
    WHEN invalid_text_representation OR invalid_datetime_format OR datetime_field_overflow
         OR interval_field_overflow OR numeric_value_out_of_range THEN
        RAISE EXCEPTION 'invalid value for setting "%": "%"', setting, left(value, 80)
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = (SELECT format('The default is "%s": %s.', d.value, d.description)
                            FROM defidata.default_settings() d WHERE d.name = setting);
END
$$;
COMMENT ON FUNCTION defidata.check_setting(text, text) IS
    'true if the setting exists and may have the value; otherwise 22023, or 2201B for a pattern'
    ' that does not compile';

CREATE FUNCTION defidata.setting_value(setting text) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN COALESCE((SELECT s.value FROM defidata.setting s WHERE s.name = setting),
                    (SELECT d.value FROM defidata.default_settings() d WHERE d.name = setting));
END
$$;
COMMENT ON FUNCTION defidata.setting_value(text) IS 'the value in force of a setting';

CREATE FUNCTION defidata.set(setting text, new_value text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    former text;
BEGIN
    PERFORM defidata.check_setting(COALESCE(setting, ''), new_value);
    former := defidata.setting_value(setting);
    UPDATE defidata.setting s SET value = new_value WHERE s.name = setting;
    IF former IS DISTINCT FROM new_value AND EXISTS (SELECT 1 FROM defidata.raw_mentions) THEN
        IF setting IN ('match', 'fold_case', 'symbol_pattern', 'use_builtin_list') THEN
            RAISE NOTICE 'rows copied so far keep their token until defidata_reclean() is called';
        END IF;
    END IF;
END
$$;
COMMENT ON FUNCTION defidata.set(text, text) IS
    'changes a setting (a row of defidata.setting) after checking it; 22023 for an unknown name'
    ' or an unfit value';
