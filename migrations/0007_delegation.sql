CREATE TABLE "warder"."delegation_grants" (
	"tenant" text COLLATE "C" NOT NULL,
	"id" uuid DEFAULT gen_random_uuid() NOT NULL,
	"from_kind" text NOT NULL,
	"from_id" text COLLATE "C" NOT NULL,
	"to_agent" text COLLATE "C" NOT NULL,
	"scopes" json,
	"tools" json,
	"authorization_details" json,
	"expires_at" timestamp with time zone,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"created_by" text COLLATE "C" NOT NULL,
	"reason" text NOT NULL,
	"revoked_at" timestamp with time zone,
	"revoked_reason" text,
	CONSTRAINT "delegation_grants_tenant_id_pk" PRIMARY KEY("tenant","id"),
	CONSTRAINT "delegation_grants_from_kind" CHECK ("warder"."delegation_grants"."from_kind" in ('user', 'agent'))
);
--> statement-breakpoint
CREATE TABLE "warder"."ephemeral_agents" (
	"tenant" text COLLATE "C" NOT NULL,
	"agent" text COLLATE "C" NOT NULL,
	"blueprint" text COLLATE "C" NOT NULL,
	"parent" text COLLATE "C" NOT NULL,
	"version_from" bigint NOT NULL,
	"lifetime_seconds" integer NOT NULL,
	"expires_at" timestamp with time zone NOT NULL,
	CONSTRAINT "ephemeral_agents_tenant_agent_pk" PRIMARY KEY("tenant","agent")
);
--> statement-breakpoint
CREATE TABLE "warder"."federations" (
	"id" uuid PRIMARY KEY NOT NULL,
	"home" text COLLATE "C" NOT NULL,
	"foreign_tenant" text COLLATE "C" NOT NULL,
	"record" text NOT NULL,
	"home_signature" text,
	"foreign_signature" text,
	"proposed_at" timestamp with time zone DEFAULT now() NOT NULL,
	"withdrawn_at" timestamp with time zone,
	"withdrawn_by" text COLLATE "C",
	CONSTRAINT "federations_two_tenants" CHECK ("warder"."federations"."home" <> "warder"."federations"."foreign_tenant")
);
--> statement-breakpoint
CREATE TABLE "warder"."tenant_keys" (
	"tenant" text COLLATE "C" PRIMARY KEY NOT NULL,
	"public_key" text NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
ALTER TABLE "warder"."delegation_grants" ADD CONSTRAINT "delegation_grants_tenant_tenants_tenant_fk" FOREIGN KEY ("tenant") REFERENCES "warder"."tenants"("tenant") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "warder"."ephemeral_agents" ADD CONSTRAINT "ephemeral_agents_tenant_tenants_tenant_fk" FOREIGN KEY ("tenant") REFERENCES "warder"."tenants"("tenant") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "warder"."federations" ADD CONSTRAINT "federations_home_tenants_tenant_fk" FOREIGN KEY ("home") REFERENCES "warder"."tenants"("tenant") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "warder"."federations" ADD CONSTRAINT "federations_foreign_tenant_tenants_tenant_fk" FOREIGN KEY ("foreign_tenant") REFERENCES "warder"."tenants"("tenant") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "warder"."tenant_keys" ADD CONSTRAINT "tenant_keys_tenant_tenants_tenant_fk" FOREIGN KEY ("tenant") REFERENCES "warder"."tenants"("tenant") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "delegation_grants_to" ON "warder"."delegation_grants" USING btree ("tenant","to_agent");--> statement-breakpoint
CREATE INDEX "ephemeral_agents_alive" ON "warder"."ephemeral_agents" USING btree ("tenant","blueprint","parent","expires_at");--> statement-breakpoint
CREATE INDEX "federations_home" ON "warder"."federations" USING btree ("home","id");--> statement-breakpoint
CREATE INDEX "federations_foreign" ON "warder"."federations" USING btree ("foreign_tenant","id");--> statement-breakpoint
-- Servers of the version before run on: the role keeps its rights, and reads the new tables.
DO $$
BEGIN
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'warder_runtime') THEN PERFORM warder.grant_runtime(); END IF;
END
$$;
