CREATE TABLE "warder"."token_families" (
	"family" "bytea" PRIMARY KEY NOT NULL,
	"issued_at" bigint NOT NULL,
	"seen_at" bigint NOT NULL,
	"expires_at" bigint NOT NULL,
	"changed_at" timestamp with time zone NOT NULL
);
--> statement-breakpoint
CREATE INDEX "token_families_changed_at" ON "warder"."token_families" USING btree ("changed_at");--> statement-breakpoint
CREATE INDEX "token_families_expires_at" ON "warder"."token_families" USING btree ("expires_at");--> statement-breakpoint
-- A definer's function, so that the runtime role can move a family forward and never back, and remove none.
CREATE FUNCTION "warder"."remember_families"(given text) RETURNS void
  LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS $$
  INSERT INTO warder.token_families AS f (family, issued_at, seen_at, expires_at, changed_at)
  SELECT decode(i.family, 'hex'), i.issued_at, i.seen_at, i.expires_at, clock_timestamp()
  FROM json_to_recordset(given::json) AS i (family text, issued_at bigint, seen_at bigint, expires_at bigint)
  ON CONFLICT (family) DO UPDATE SET issued_at = excluded.issued_at, seen_at = excluded.seen_at,
    expires_at = excluded.expires_at, changed_at = clock_timestamp()
    WHERE excluded.issued_at > f.issued_at;
  SELECT pg_notify('warder_changes', '{}');
$$;
--> statement-breakpoint
REVOKE EXECUTE ON FUNCTION "warder"."remember_families"(text) FROM PUBLIC;
--> statement-breakpoint
-- The role may come to exist later; `grant_runtime` is what gives it its rights, old and new.
DO $migration$
DECLARE
  body text;
BEGIN
  SELECT prosrc INTO body FROM pg_proc WHERE oid = 'warder.grant_runtime()'::regprocedure;
  EXECUTE format('CREATE OR REPLACE FUNCTION warder.grant_runtime() RETURNS void LANGUAGE sql SET search_path = pg_catalog AS %L',
    body || E'\n  GRANT EXECUTE ON FUNCTION warder.remember_families(text) TO warder_runtime;\n');
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'warder_runtime') THEN PERFORM warder.grant_runtime(); END IF;
END
$migration$;
