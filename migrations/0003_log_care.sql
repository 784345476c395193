-- The decision log in weekly partitions, retention for each tenant, and the head of each chain (docs/decisions/0004).
-- Locks: `decisions` exclusively until the end; a log that has rows becomes the oldest partition, whose new unique
-- indexes are built and whose rows are read once (some 10 s for a million). Servers of the version before go on with it.
CREATE TABLE "warder"."chain_heads" (
	"writer" text COLLATE "C" PRIMARY KEY NOT NULL,
	"sequence" bigint NOT NULL,
	"hash" text NOT NULL
);
--> statement-breakpoint
-- One update for each batch: room for it on the same page.
ALTER TABLE "warder"."chain_heads" SET (fillfactor = 50);
--> statement-breakpoint
CREATE TABLE "warder"."removals" (
	"id" bigint PRIMARY KEY NOT NULL,
	"writer" text COLLATE "C" NOT NULL,
	"rows" bigint NOT NULL,
	"runs" json NOT NULL,
	"removed_at" timestamp with time zone DEFAULT now() NOT NULL,
	"previous_hash" text NOT NULL,
	"hash" text NOT NULL
);
--> statement-breakpoint
ALTER TABLE "warder"."tenants" ADD COLUMN "retention_days" integer;--> statement-breakpoint
ALTER TABLE "warder"."tenants" ADD COLUMN "mask_fields" json;--> statement-breakpoint
ALTER TABLE "warder"."tenants" ADD CONSTRAINT "tenants_retention_days" CHECK ("warder"."tenants"."retention_days" between 1 and 36500);--> statement-breakpoint
LOCK TABLE "warder"."decisions" IN ACCESS EXCLUSIVE MODE;
--> statement-breakpoint
ALTER TABLE "warder"."decisions" RENAME TO "decisions_before";
--> statement-breakpoint
DO $$
DECLARE name text;
BEGIN
  FOR name IN SELECT indexrelid::regclass::text FROM pg_index WHERE indrelid = 'warder.decisions_before'::regclass LOOP
    name := replace(name, 'warder.', '');
    EXECUTE format('ALTER INDEX warder.%I RENAME TO %I', name, replace(name, 'decisions', 'decisions_before'));
  END LOOP;
END
$$;
--> statement-breakpoint
CREATE TABLE "warder"."decisions" (LIKE "warder"."decisions_before" INCLUDING DEFAULTS INCLUDING CONSTRAINTS)
  PARTITION BY RANGE ("decided_at");
--> statement-breakpoint
ALTER TABLE "warder"."decisions" ADD CONSTRAINT "decisions_decision_id" UNIQUE("decision_id","decided_at");--> statement-breakpoint
ALTER TABLE "warder"."decisions" ADD CONSTRAINT "decisions_writer_sequence" UNIQUE("writer","sequence","decided_at");--> statement-breakpoint
CREATE INDEX "decisions_tenant_time" ON "warder"."decisions" USING btree ("tenant","decided_at","decision_id");--> statement-breakpoint
CREATE INDEX "decisions_time" ON "warder"."decisions" USING btree ("decided_at","decision_id");--> statement-breakpoint
CREATE INDEX "decisions_tenant_deny" ON "warder"."decisions" USING btree ("tenant","decided_at","decision_id") WHERE "decision" = 'deny';--> statement-breakpoint
CREATE INDEX "decisions_tenant_reason" ON "warder"."decisions" USING btree ("tenant","reason","decided_at","decision_id");--> statement-breakpoint
CREATE INDEX "decisions_tenant_agent" ON "warder"."decisions" USING btree ("tenant","agent","decided_at","decision_id");--> statement-breakpoint
CREATE INDEX "decisions_tenant_user" ON "warder"."decisions" USING btree ("tenant","user","decided_at","decision_id");--> statement-breakpoint
CREATE INDEX "decisions_tenant_tool" ON "warder"."decisions" USING btree ("tenant","tool","decided_at","decision_id");--> statement-breakpoint
CREATE INDEX "decisions_request_id" ON "warder"."decisions" USING btree ("request_id","decided_at") WHERE "request_id" is not null;--> statement-breakpoint
-- Rows whose time no other partition covers (a clock that jumped): no row is ever refused for its time.
CREATE TABLE "warder"."decisions_default" PARTITION OF "warder"."decisions" DEFAULT;
--> statement-breakpoint
-- Makes the partition of the week that `at` is in; null when it exists or the week can't have one of its own. Attaching
-- what was made before takes no lock that appending or reading waits for.
CREATE FUNCTION "warder"."make_log_partition"(at timestamptz) RETURNS text LANGUAGE plpgsql
  SET search_path = pg_catalog SET timezone = 'UTC' AS $$
DECLARE
  week timestamptz := date_trunc('week', at);
  name text := 'decisions_' || to_char(week, 'YYYYMMDD');
BEGIN
  IF to_regclass('warder.' || name) IS NOT NULL THEN RETURN NULL; END IF;
  EXECUTE format('CREATE TABLE warder.%I (LIKE warder.decisions INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', name);
  EXECUTE format('CREATE TRIGGER decisions_insert_only BEFORE UPDATE OR DELETE OR TRUNCATE ON warder.%I
    FOR EACH STATEMENT EXECUTE FUNCTION warder.refuse_change()', name);
  EXECUTE format('ALTER TABLE warder.%I ENABLE ALWAYS TRIGGER decisions_insert_only', name);
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'warder_runtime') THEN
    EXECUTE format('GRANT SELECT ON warder.%I TO warder_runtime', name);
  END IF;
  EXECUTE format('ALTER TABLE warder.decisions ATTACH PARTITION warder.%I FOR VALUES FROM (%L) TO (%L)',
    name, week, week + interval '7 days');
  RETURN name;
EXCEPTION WHEN invalid_object_definition OR check_violation THEN
  RETURN NULL;
END
$$;
--> statement-breakpoint
-- Partitions with an end, oldest first.
CREATE FUNCTION "warder"."log_partitions"() RETURNS TABLE (name text, until timestamptz) LANGUAGE sql STABLE
  SET search_path = pg_catalog SET timezone = 'UTC' AS $$
  SELECT c.relname::text, bound.until FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid,
    LATERAL (SELECT substring(pg_get_expr(c.relpartbound, c.oid) FROM 'TO \(''([^'']+)''\)')::timestamptz) AS bound (until)
  WHERE i.inhparent = 'warder.decisions'::regclass AND bound.until IS NOT NULL ORDER BY bound.until;
$$;
--> statement-breakpoint
DO $$
DECLARE
  newest timestamptz;
  bound timestamptz;
BEGIN
  SELECT max(decided_at) INTO newest FROM warder.decisions_before;
  IF newest IS NULL THEN
    DROP TABLE warder.decisions_before;
    bound := date_trunc('week', now(), 'UTC');
  ELSE
    bound := date_trunc('week', greatest(newest, now()), 'UTC') + interval '7 days';
    EXECUTE format('ALTER TABLE warder.decisions ATTACH PARTITION warder.decisions_before
      FOR VALUES FROM (MINVALUE) TO (%L)', bound);
    INSERT INTO warder.chain_heads
      SELECT DISTINCT ON (writer) writer, sequence, hash FROM warder.decisions_before ORDER BY writer, sequence DESC;
  END IF;
  PERFORM warder.make_log_partition(bound), warder.make_log_partition(bound + interval '7 days');
END
$$;
--> statement-breakpoint
-- A row can only be added at the end of its writer's chain. The runtime role can't touch the heads by itself.
CREATE FUNCTION "warder"."advance_chains"() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
  SET search_path = pg_catalog AS $$
DECLARE
  chain record;
  head record;
BEGIN
  FOR chain IN SELECT writer, min(sequence) AS first, max(sequence) AS last, count(DISTINCT sequence) AS places,
    count(*) AS rows FROM added GROUP BY writer
  LOOP
    SELECT sequence, hash INTO head FROM warder.chain_heads WHERE writer = chain.writer FOR UPDATE;
    IF chain.first <= coalesce(head.sequence, 0) OR chain.places <> chain.rows THEN
      RAISE EXCEPTION 'a place in the log of writer % is taken', chain.writer USING ERRCODE = 'unique_violation';
    END IF;
    IF chain.first <> coalesce(head.sequence, 0) + 1 OR chain.last - chain.first + 1 <> chain.rows THEN
      RAISE EXCEPTION 'the log of writer % would have a gap', chain.writer USING ERRCODE = 'check_violation';
    END IF;
    INSERT INTO warder.chain_heads (writer, sequence, hash)
      SELECT a.writer, a.sequence, a.hash FROM added a WHERE a.writer = chain.writer AND a.sequence = chain.last
    ON CONFLICT (writer) DO UPDATE SET sequence = excluded.sequence, hash = excluded.hash
      WHERE chain_heads.sequence < chain.first;
    IF NOT FOUND THEN
      RAISE EXCEPTION 'a place in the log of writer % is taken', chain.writer USING ERRCODE = 'unique_violation';
    END IF;
  END LOOP;
  RETURN NULL;
END
$$;
--> statement-breakpoint
CREATE TRIGGER "decisions_chain" AFTER INSERT ON "warder"."decisions" REFERENCING NEW TABLE AS added
  FOR EACH STATEMENT EXECUTE FUNCTION "warder"."advance_chains"();
--> statement-breakpoint
ALTER TABLE "warder"."decisions" ENABLE ALWAYS TRIGGER "decisions_chain";
--> statement-breakpoint
-- `runs` of a writer's rows are gone: one more link of the chain of removals.
CREATE FUNCTION "warder"."append_removal"(of_writer text, of_rows bigint, of_runs json) RETURNS void LANGUAGE plpgsql
  SET search_path = pg_catalog AS $$
DECLARE
  last record;
BEGIN
  PERFORM pg_advisory_xact_lock(7238004);
  SELECT id, hash INTO last FROM warder.removals ORDER BY id DESC LIMIT 1;
  last.id := coalesce(last.id, 0) + 1;
  last.hash := coalesce(last.hash, repeat('0', 64));
  INSERT INTO warder.removals (id, writer, rows, runs, previous_hash, hash) VALUES (last.id, of_writer, of_rows, of_runs,
    last.hash, encode(sha256(convert_to(concat_ws(' ', last.hash, last.id, of_writer, of_rows, of_runs), 'UTF8')), 'hex'));
END
$$;
--> statement-breakpoint
-- Rows past their tenant's retention can be deleted, by the owner alone, and never without a record of it.
CREATE FUNCTION "warder"."remove_expired"() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
  IF EXISTS (SELECT FROM removed r LEFT JOIN warder.tenants t ON t.tenant = r.tenant
    WHERE (r.decided_at < now() - make_interval(days => t.retention_days)) IS NOT TRUE)
  THEN
    RAISE EXCEPTION '% is insert only: % refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'insufficient_privilege';
  END IF;
  PERFORM warder.append_removal(run.writer, sum(run.last - run.first + 1)::bigint,
      json_agg(json_build_array(run.first, run.last, run.previous_hash, run.hash) ORDER BY run.first))
    FROM (
      SELECT e.writer, e.sequence AS first, e.previous_hash, e.ends,
        CASE WHEN e.ends THEN e.sequence ELSE lead(e.sequence) OVER places END AS last,
        CASE WHEN e.ends THEN e.hash ELSE lead(e.hash) OVER places END AS hash, e.starts
      FROM (
        SELECT writer, sequence, previous_hash, hash,
          lag(sequence) OVER places IS DISTINCT FROM sequence - 1 AS starts,
          lead(sequence) OVER places IS DISTINCT FROM sequence + 1 AS ends
        FROM removed WINDOW places AS (PARTITION BY writer ORDER BY sequence)
      ) AS e WHERE e.starts OR e.ends WINDOW places AS (PARTITION BY e.writer ORDER BY e.sequence)
    ) AS run WHERE run.starts GROUP BY run.writer ORDER BY run.writer;
  RETURN NULL;
END
$$;
--> statement-breakpoint
-- Drops a partition all of whose rows are past retention, recorded in the same way; gives their number, or null when it
-- has to stay. Reading goes on meanwhile; the last step waits for readers at most as long as `lock_timeout`.
CREATE FUNCTION "warder"."drop_log_partition"(name text) RETURNS bigint LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
  kept boolean;
  counted bigint;
BEGIN
  IF NOT EXISTS (SELECT FROM warder.log_partitions() p WHERE p.name = drop_log_partition.name AND p.until < now()) THEN
    RETURN NULL;
  END IF;
  EXECUTE format('LOCK TABLE warder.%I IN SHARE MODE', name);
  EXECUTE format('WITH RECURSIVE seen AS (
      (SELECT tenant FROM warder.%1$I ORDER BY tenant LIMIT 1)
      UNION ALL
      SELECT (SELECT p.tenant FROM warder.%1$I p WHERE p.tenant > s.tenant ORDER BY p.tenant LIMIT 1)
      FROM seen s WHERE s.tenant IS NOT NULL)
    SELECT EXISTS (SELECT FROM seen LEFT JOIN warder.tenants t USING (tenant) WHERE seen.tenant IS NOT NULL AND (
      t.retention_days IS NULL OR EXISTS (SELECT FROM warder.%1$I p WHERE p.tenant = seen.tenant
        AND p.decided_at >= now() - make_interval(days => t.retention_days))))', name) INTO kept;
  IF kept THEN RETURN NULL; END IF;
  EXECUTE format('SELECT count(*) FROM warder.%I', name) INTO counted;
  EXECUTE format('SELECT count(warder.append_removal(run.writer, run.rows, run.runs)::text) FROM (
    SELECT writer, sum(last - first + 1)::bigint AS rows,
      json_agg(json_build_array(first, last, previous_hash, hash) ORDER BY first) AS runs
    FROM (
      SELECT e.writer, e.sequence AS first, e.previous_hash, e.starts,
        CASE WHEN e.ends THEN e.sequence ELSE lead(e.sequence) OVER places END AS last,
        CASE WHEN e.ends THEN e.hash ELSE lead(e.hash) OVER places END AS hash
      FROM (
        SELECT writer, sequence, previous_hash, hash,
          lag(sequence) OVER places IS DISTINCT FROM sequence - 1 AS starts,
          lead(sequence) OVER places IS DISTINCT FROM sequence + 1 AS ends
        FROM warder.%I WINDOW places AS (PARTITION BY writer ORDER BY sequence)
      ) AS e WHERE e.starts OR e.ends WINDOW places AS (PARTITION BY e.writer ORDER BY e.sequence)
    ) AS edge WHERE starts GROUP BY writer ORDER BY writer) AS run', name);
  EXECUTE format('DROP TABLE warder.%I', name);
  RETURN counted;
END
$$;
--> statement-breakpoint
-- Words of a row for `logs query --text`. Punctuation separates words, in rows and in what is looked for.
CREATE FUNCTION "warder"."log_phrase"(given text) RETURNS tsquery LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
  SET search_path = pg_catalog AS $$
BEGIN
  RETURN phraseto_tsquery('pg_catalog.simple', translate(given, '/\"'':{}[](),._-@=+?&%#<>|;!*$', '                             '));
END
$$;
--> statement-breakpoint
CREATE FUNCTION "warder"."log_words"(VARIADIC parts text[]) RETURNS tsvector LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
  SET search_path = pg_catalog AS $$
BEGIN
  RETURN to_tsvector('pg_catalog.simple',
    translate(array_to_string(parts, ' '), '/\"'':{}[](),._-@=+?&%#<>|;!*$', '                             '));
END
$$;
--> statement-breakpoint
CREATE TRIGGER "decisions_insert_only" BEFORE UPDATE OR TRUNCATE ON "warder"."decisions"
  FOR EACH STATEMENT EXECUTE FUNCTION "warder"."refuse_change"();
--> statement-breakpoint
ALTER TABLE "warder"."decisions" ENABLE ALWAYS TRIGGER "decisions_insert_only";
--> statement-breakpoint
CREATE TRIGGER "decisions_retention" AFTER DELETE ON "warder"."decisions" REFERENCING OLD TABLE AS removed
  FOR EACH STATEMENT EXECUTE FUNCTION "warder"."remove_expired"();
--> statement-breakpoint
ALTER TABLE "warder"."decisions" ENABLE ALWAYS TRIGGER "decisions_retention";
--> statement-breakpoint
CREATE TRIGGER "decisions_insert_only" BEFORE UPDATE OR DELETE OR TRUNCATE ON "warder"."decisions_default"
  FOR EACH STATEMENT EXECUTE FUNCTION "warder"."refuse_change"();
--> statement-breakpoint
ALTER TABLE "warder"."decisions_default" ENABLE ALWAYS TRIGGER "decisions_insert_only";
--> statement-breakpoint
CREATE TRIGGER "removals_insert_only" BEFORE UPDATE OR DELETE OR TRUNCATE ON "warder"."removals"
  FOR EACH STATEMENT EXECUTE FUNCTION "warder"."refuse_change"();
--> statement-breakpoint
ALTER TABLE "warder"."removals" ENABLE ALWAYS TRIGGER "removals_insert_only";
--> statement-breakpoint
REVOKE EXECUTE ON FUNCTION "warder"."make_log_partition"(timestamptz), "warder"."drop_log_partition"(text),
  "warder"."append_removal"(text, bigint, json) FROM PUBLIC;
--> statement-breakpoint
-- Servers of the version before run on: the role keeps its rights on the new table.
DO $$
BEGIN
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'warder_runtime') THEN PERFORM warder.grant_runtime(); END IF;
END
$$;
