CREATE TABLE "warder"."proof_epoch" (
	"id" integer PRIMARY KEY NOT NULL,
	"opened_at" bigint NOT NULL,
	"secret" "bytea" NOT NULL,
	CONSTRAINT "proof_epoch_one_row" CHECK ("warder"."proof_epoch"."id" = 1)
);
--> statement-breakpoint
CREATE TABLE "warder"."proofs" (
	"key" "bytea" PRIMARY KEY NOT NULL,
	"question" text,
	"reserved_at" bigint NOT NULL,
	"expires_at" bigint NOT NULL
);
--> statement-breakpoint
CREATE INDEX "proofs_expires_at" ON "warder"."proofs" USING btree ("expires_at");--> statement-breakpoint
-- Nobody needs used proofs after a crash as long as it is known that they are gone; writing no log makes them cheap.
ALTER TABLE "warder"."proofs" SET UNLOGGED;
--> statement-breakpoint
ALTER TABLE "warder"."proof_epoch" SET UNLOGGED;
--> statement-breakpoint
-- No proof was used before this installation began, so the first epoch has no beginning.
INSERT INTO "warder"."proof_epoch" ("id", "opened_at", "secret")
  VALUES (1, 0, decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex'));
--> statement-breakpoint
-- Takes proofs in one atomic step. A definer's function, so that the runtime role can take proofs and do nothing else with
-- them, above all not remove one. An epoch that is missing was lost in a crash: it begins anew, at the caller's now.
CREATE FUNCTION "warder"."reserve_proofs"(given text, now_milliseconds bigint)
  RETURNS TABLE (key text, fresh boolean, question text, reserved_at bigint, opened_at bigint, secret bytea)
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  epoch warder.proof_epoch%ROWTYPE;
BEGIN
  SELECT * INTO epoch FROM warder.proof_epoch WHERE id = 1;
  IF NOT FOUND THEN
    INSERT INTO warder.proof_epoch (id, opened_at, secret) VALUES (1, now_milliseconds,
      decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex')) ON CONFLICT DO NOTHING;
    SELECT * INTO epoch FROM warder.proof_epoch WHERE id = 1;
  END IF;
  RETURN QUERY
    WITH item AS (
      SELECT i.key, i.question, i.expires_at
      FROM json_to_recordset(given::json) AS i (key text, question text, expires_at bigint)
    ), taken AS (
      INSERT INTO warder.proofs AS p (key, question, reserved_at, expires_at)
      SELECT decode(item.key, 'hex'), item.question, now_milliseconds, item.expires_at FROM item
      ON CONFLICT DO NOTHING RETURNING p.key
    )
    SELECT item.key, taken.key IS NOT NULL, before.question, before.reserved_at, epoch.opened_at, epoch.secret
    FROM item
      LEFT JOIN taken ON taken.key = decode(item.key, 'hex')
      LEFT JOIN warder.proofs before ON before.key = decode(item.key, 'hex');
END
$$;
--> statement-breakpoint
REVOKE EXECUTE ON FUNCTION "warder"."reserve_proofs"(text, bigint) FROM PUBLIC;
--> statement-breakpoint
-- The role may come to exist later; `grant_runtime` is what gives it its rights, old and new.
DO $migration$
DECLARE
  body text;
BEGIN
  SELECT prosrc INTO body FROM pg_proc WHERE oid = 'warder.grant_runtime()'::regprocedure;
  EXECUTE format('CREATE OR REPLACE FUNCTION warder.grant_runtime() RETURNS void LANGUAGE sql SET search_path = pg_catalog AS %L',
    body || E'\n  GRANT EXECUTE ON FUNCTION warder.reserve_proofs(text, bigint) TO warder_runtime;\n');
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'warder_runtime') THEN PERFORM warder.grant_runtime(); END IF;
END
$migration$;
