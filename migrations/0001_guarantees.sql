-- What the tables alone can't promise: the decision log is insert only, for everyone, and the runtime role gets the
-- least that serving needs. Locks: short, on tables that are still empty. Time: milliseconds.
INSERT INTO "warder"."state" ("id", "version") VALUES (1, 0);
--> statement-breakpoint
CREATE FUNCTION "warder"."refuse_change"() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
  RAISE EXCEPTION '% is insert only: % refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'insufficient_privilege';
END
$$;
--> statement-breakpoint
CREATE TRIGGER "decisions_insert_only" BEFORE UPDATE OR DELETE OR TRUNCATE ON "warder"."decisions"
  FOR EACH STATEMENT EXECUTE FUNCTION "warder"."refuse_change"();
--> statement-breakpoint
-- ALWAYS: fires for replication roles too, so that session_replication_role is no way around it.
ALTER TABLE "warder"."decisions" ENABLE ALWAYS TRIGGER "decisions_insert_only";
--> statement-breakpoint
CREATE TRIGGER "writers_insert_only" BEFORE UPDATE OR DELETE OR TRUNCATE ON "warder"."writers"
  FOR EACH STATEMENT EXECUTE FUNCTION "warder"."refuse_change"();
--> statement-breakpoint
ALTER TABLE "warder"."writers" ENABLE ALWAYS TRIGGER "writers_insert_only";
--> statement-breakpoint
-- A function, because the role may come to exist after the migration (an administrator has to create it where the
-- owner can't). Later migrations that add tables replace it.
CREATE FUNCTION "warder"."grant_runtime"() RETURNS void LANGUAGE sql SET search_path = pg_catalog AS $$
  REVOKE ALL ON ALL TABLES IN SCHEMA warder FROM PUBLIC;
  GRANT USAGE ON SCHEMA warder TO warder_runtime;
  REVOKE ALL ON ALL TABLES IN SCHEMA warder FROM warder_runtime;
  GRANT SELECT ON ALL TABLES IN SCHEMA warder TO warder_runtime;
  GRANT INSERT ON warder.decisions, warder.writers TO warder_runtime;
$$;
--> statement-breakpoint
REVOKE EXECUTE ON FUNCTION "warder"."grant_runtime"() FROM PUBLIC;
