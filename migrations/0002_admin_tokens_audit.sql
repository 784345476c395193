CREATE TABLE "warder"."admin_audit" (
	"sequence" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "warder"."admin_audit_sequence_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"at" timestamp with time zone DEFAULT now() NOT NULL,
	"actor" text COLLATE "C" NOT NULL,
	"role" text NOT NULL,
	"route" text NOT NULL,
	"tenant" text COLLATE "C",
	"target" text,
	"before" json,
	"after" json,
	"outcome" text COLLATE "C" NOT NULL,
	"request_id" text
);
--> statement-breakpoint
ALTER TABLE "warder"."admin_tokens" ADD COLUMN "name" text COLLATE "C" DEFAULT 'token-' || left(gen_random_uuid()::text, 8) NOT NULL;--> statement-breakpoint
ALTER TABLE "warder"."admin_tokens" ADD COLUMN "role" text DEFAULT 'admin' NOT NULL;--> statement-breakpoint
ALTER TABLE "warder"."admin_tokens" ADD COLUMN "tenants" json;--> statement-breakpoint
ALTER TABLE "warder"."admin_tokens" ADD COLUMN "expires_at" timestamp with time zone;--> statement-breakpoint
CREATE INDEX "admin_audit_tenant" ON "warder"."admin_audit" USING btree ("tenant","sequence");--> statement-breakpoint
ALTER TABLE "warder"."admin_tokens" ADD CONSTRAINT "admin_tokens_name" UNIQUE("name");--> statement-breakpoint
ALTER TABLE "warder"."admin_tokens" ADD CONSTRAINT "admin_tokens_role" CHECK ("warder"."admin_tokens"."role" in ('viewer', 'author', 'approver', 'operator', 'admin'));--> statement-breakpoint
-- The audit of administrators is insert only, for everyone. Locks: short; the new table is empty, `admin_tokens` is small.
CREATE TRIGGER "admin_audit_insert_only" BEFORE UPDATE OR DELETE OR TRUNCATE ON "warder"."admin_audit"
  FOR EACH STATEMENT EXECUTE FUNCTION "warder"."refuse_change"();
--> statement-breakpoint
ALTER TABLE "warder"."admin_audit" ENABLE ALWAYS TRIGGER "admin_audit_insert_only";
