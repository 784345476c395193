CREATE TABLE "warder"."revocations" (
	"revocation" uuid PRIMARY KEY DEFAULT gen_random_uuid() NOT NULL,
	"tenant" text COLLATE "C",
	"kind" text COLLATE "C" NOT NULL,
	"target" text COLLATE "C" NOT NULL,
	"mode" text NOT NULL,
	"issued_before" bigint,
	"expires_at" timestamp with time zone,
	"reason" text NOT NULL,
	"source" text NOT NULL,
	"actor" text COLLATE "C" NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"version_from" bigint NOT NULL,
	"lifted_at" timestamp with time zone,
	"lifted_by" text COLLATE "C",
	"version_to" bigint,
	CONSTRAINT "revocations_mode" CHECK ("warder"."revocations"."mode" in ('deny', 'kill', 'breaker')),
	CONSTRAINT "revocations_source" CHECK ("warder"."revocations"."source" in ('admin', 'signal', 'breaker')),
	CONSTRAINT "revocations_lifted" CHECK (("warder"."revocations"."version_to" is null) = ("warder"."revocations"."lifted_at" is null))
);
--> statement-breakpoint
ALTER TABLE "warder"."revocations" ADD CONSTRAINT "revocations_tenant_tenants_tenant_fk" FOREIGN KEY ("tenant") REFERENCES "warder"."tenants"("tenant") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "revocations_version_from" ON "warder"."revocations" USING btree ("version_from");--> statement-breakpoint
CREATE INDEX "revocations_version_to" ON "warder"."revocations" USING btree ("version_to") WHERE "warder"."revocations"."version_to" is not null;--> statement-breakpoint
CREATE INDEX "revocations_tenant" ON "warder"."revocations" USING btree ("tenant","version_from");--> statement-breakpoint
CREATE INDEX "revocations_target" ON "warder"."revocations" USING btree ("kind","target");--> statement-breakpoint
-- Servers of the version before run on: the role keeps its rights, and reads the new table.
DO $$
BEGIN
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'warder_runtime') THEN PERFORM warder.grant_runtime(); END IF;
END
$$;
