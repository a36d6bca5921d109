"""Spend by the day, kept by the database itself with every row of the spend log.

A trigger writes `spend_days` and `spend_user_days` in the transaction that adds to `spend_logs`, so that whoever writes
the log, also the previous release, keeps them. Days are those of the org's time zone (`spend_zones`). What the log held
before is built by the worker day by day, from `spend_todo`; until then the org is not `ready`: reports read the hours.

Revision: 0011, after 0010. The previous release reads and writes its own tables as before.
"""

from __future__ import annotations

from alembic import op

revision = "0011"
down_revision = "0010"

# sum(bigint) counts in numeric, which takes most of the time of a report.
SUM = """
CREATE AGGREGATE whole_sum (bigint) (
    SFUNC = int8pl, STYPE = bigint, COMBINEFUNC = int8pl, INITCOND = '0', PARALLEL = SAFE
);
"""

ZONES = """
CREATE TABLE time_zones (name text PRIMARY KEY);
INSERT INTO time_zones SELECT DISTINCT name FROM pg_timezone_names;
CREATE TABLE spend_zones (
    org_id text PRIMARY KEY,
    zone text NOT NULL,
    ready boolean NOT NULL
);
CREATE TABLE spend_todo (
    org_id text NOT NULL,
    day date NOT NULL,
    PRIMARY KEY (org_id, day)
);
-- The org's time zone, for records without an org the default one's; UTC where the server does not know the zone.
CREATE FUNCTION zone_of(org text) RETURNS text
LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
    SELECT coalesce((SELECT name FROM time_zones WHERE name = coalesce(
        (SELECT time_zone FROM orgs WHERE id = org), (SELECT time_zone FROM orgs WHERE orgs.name = 'default'))), 'UTC');
$$;
"""

# Rows are changed many times while their day lasts: room on the page keeps that cheap.
DAYS = """
CREATE TABLE spend_days (
    day date NOT NULL,
    key_id text NOT NULL,
    model text NOT NULL,
    provider text NOT NULL,
    route text NOT NULL,
    team_id text NOT NULL,
    org_id text NOT NULL,
    requests bigint NOT NULL,
    errors bigint NOT NULL,
    tokens_in bigint NOT NULL,
    tokens_out bigint NOT NULL,
    tokens_cached bigint NOT NULL,
    cost_nano_usd bigint NOT NULL,
    simulated bigint NOT NULL,
    unpriced bigint NOT NULL,
    PRIMARY KEY (day, key_id, model, provider, route, team_id, org_id)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);
CREATE INDEX spend_days_team ON spend_days (team_id, day);
CREATE INDEX spend_days_key ON spend_days (key_id, day);
CREATE TABLE spend_user_days (
    day date NOT NULL,
    user_id text NOT NULL,
    key_id text NOT NULL,
    model text NOT NULL,
    provider text NOT NULL,
    route text NOT NULL,
    team_id text NOT NULL,
    org_id text NOT NULL,
    requests bigint NOT NULL,
    errors bigint NOT NULL,
    tokens_in bigint NOT NULL,
    tokens_out bigint NOT NULL,
    tokens_cached bigint NOT NULL,
    cost_nano_usd bigint NOT NULL,
    simulated bigint NOT NULL,
    unpriced bigint NOT NULL,
    PRIMARY KEY (day, user_id, key_id, model, provider, route, team_id, org_id)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);
ALTER TABLE spend_rollups ADD COLUMN unpriced bigint NOT NULL DEFAULT 0;
"""

# The lock comes before the zones are read: who builds days anew takes a stronger one, and nobody counts meanwhile.
# Rows go in key order, so that two writers wait for each other and do not deadlock.
TRIGGER = """
CREATE FUNCTION spend_rolled_up() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    LOCK TABLE spend_days IN ROW EXCLUSIVE MODE;
    INSERT INTO spend_zones (org_id, zone, ready)
    SELECT org, zone_of(org), true FROM (SELECT DISTINCT coalesce(org_id, '') AS org FROM added) AS seen
    WHERE NOT EXISTS (SELECT FROM spend_zones z WHERE z.org_id = seen.org)
    ORDER BY org ON CONFLICT DO NOTHING;
    WITH grouped AS MATERIALIZED (
        SELECT (n.ts AT TIME ZONE z.zone)::date AS day, coalesce(n.user_id, '') AS user_id,
            coalesce(n.key_id, '') AS key_id, coalesce(n.model, '') AS model, coalesce(n.provider, '') AS provider,
            coalesce(n.route, '') AS route, coalesce(n.team_id, '') AS team_id, z.org_id, count(*) AS requests,
            count(*) FILTER (WHERE n.status >= 400) AS errors, whole_sum(n.tokens_in) AS tokens_in,
            whole_sum(n.tokens_out) AS tokens_out, whole_sum(n.tokens_cached) AS tokens_cached,
            whole_sum(n.cost_nano_usd) AS cost_nano_usd, count(*) FILTER (WHERE n.simulated) AS simulated,
            count(*) FILTER (WHERE n.price_source = 'unknown' AND n.tokens_in + n.tokens_out > 0) AS unpriced
        FROM added n JOIN spend_zones z ON z.org_id = coalesce(n.org_id, '')
        GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
    ), by_user AS (
        INSERT INTO spend_user_days AS kept
        SELECT * FROM grouped ORDER BY day, user_id, key_id, model, provider, route, team_id, org_id
        ON CONFLICT (day, user_id, key_id, model, provider, route, team_id, org_id) DO UPDATE SET
            requests = kept.requests + excluded.requests, errors = kept.errors + excluded.errors,
            tokens_in = kept.tokens_in + excluded.tokens_in, tokens_out = kept.tokens_out + excluded.tokens_out,
            tokens_cached = kept.tokens_cached + excluded.tokens_cached,
            cost_nano_usd = kept.cost_nano_usd + excluded.cost_nano_usd,
            simulated = kept.simulated + excluded.simulated, unpriced = kept.unpriced + excluded.unpriced
    )
    INSERT INTO spend_days AS kept
    SELECT day, key_id, model, provider, route, team_id, org_id, whole_sum(requests), whole_sum(errors),
        whole_sum(tokens_in), whole_sum(tokens_out), whole_sum(tokens_cached), whole_sum(cost_nano_usd),
        whole_sum(simulated), whole_sum(unpriced)
    FROM grouped GROUP BY 1, 2, 3, 4, 5, 6, 7 ORDER BY 1, 2, 3, 4, 5, 6, 7
    ON CONFLICT (day, key_id, model, provider, route, team_id, org_id) DO UPDATE SET
        requests = kept.requests + excluded.requests, errors = kept.errors + excluded.errors,
        tokens_in = kept.tokens_in + excluded.tokens_in, tokens_out = kept.tokens_out + excluded.tokens_out,
        tokens_cached = kept.tokens_cached + excluded.tokens_cached,
        cost_nano_usd = kept.cost_nano_usd + excluded.cost_nano_usd,
        simulated = kept.simulated + excluded.simulated, unpriced = kept.unpriced + excluded.unpriced;
    RETURN NULL;
END $$;
CREATE TRIGGER spend_rolled_up AFTER INSERT ON spend_logs REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION spend_rolled_up();
"""

# The trigger's lock has kept writers out, so that the hours tell of exactly the rows that it has not seen.
TODO = """
INSERT INTO spend_zones SELECT org, zone_of(org), NOT EXISTS (SELECT FROM spend_logs)
FROM (SELECT id AS org FROM orgs UNION SELECT org_id FROM spend_rollups UNION SELECT '') AS known;
INSERT INTO spend_todo
SELECT DISTINCT z.org_id, ((r.hour + late) AT TIME ZONE z.zone)::date
FROM spend_rollups r JOIN spend_zones z ON z.org_id = r.org_id AND NOT z.ready
    CROSS JOIN (VALUES (interval '0'), (interval '59 minutes')) AS edges (late);
UPDATE spend_zones z SET ready = true WHERE NOT EXISTS (SELECT FROM spend_todo t WHERE t.org_id = z.org_id);
"""

GRANTS = """
GRANT SELECT ON time_zones TO scutum_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON spend_zones, spend_todo, spend_days, spend_user_days TO scutum_app;
"""


def upgrade() -> None:
    # The driver's own cursor: without parameters it reads neither `%` nor `:name` inside the statements.
    with op.get_bind().connection.cursor() as cursor:
        for part in (SUM, ZONES, DAYS, TRIGGER, TODO, GRANTS):
            cursor.execute(part)
