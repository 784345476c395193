CREATE SCHEMA IF NOT EXISTS "warder";
--> statement-breakpoint
CREATE TABLE "warder"."activations" (
	"tenant" text COLLATE "C" NOT NULL,
	"sequence" bigint NOT NULL,
	"release" text COLLATE "C" NOT NULL,
	"at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "activations_tenant_sequence_pk" PRIMARY KEY("tenant","sequence")
);
--> statement-breakpoint
CREATE TABLE "warder"."admin_tokens" (
	"hash" text COLLATE "C" PRIMARY KEY NOT NULL,
	"hint" text NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"revoked_at" timestamp with time zone
);
--> statement-breakpoint
CREATE TABLE "warder"."decisions" (
	"tenant" text COLLATE "C" NOT NULL,
	"decided_at" timestamp with time zone NOT NULL,
	"decision_id" uuid PRIMARY KEY NOT NULL,
	"decision" text NOT NULL,
	"reason" text COLLATE "C" NOT NULL,
	"reasons" json NOT NULL,
	"obligations" json NOT NULL,
	"gateway" text NOT NULL,
	"dialect" text NOT NULL,
	"request_id" text,
	"traceparent" text,
	"agent" text COLLATE "C",
	"user" text COLLATE "C",
	"subject" text COLLATE "C",
	"tool" text COLLATE "C",
	"action" text COLLATE "C",
	"resource" text COLLATE "C",
	"policies" json NOT NULL,
	"release" text,
	"state_version" bigint NOT NULL,
	"duration_us" integer NOT NULL,
	"facts" json NOT NULL,
	"trace" json NOT NULL,
	"writer" text COLLATE "C" NOT NULL,
	"sequence" bigint NOT NULL,
	"previous_hash" text NOT NULL,
	"hash" text NOT NULL,
	CONSTRAINT "decisions_writer_sequence" UNIQUE("writer","sequence"),
	CONSTRAINT "decisions_decision" CHECK ("warder"."decisions"."decision" in ('allow', 'deny'))
);
--> statement-breakpoint
CREATE TABLE "warder"."entities" (
	"tenant" text COLLATE "C" NOT NULL,
	"type" text COLLATE "C" NOT NULL,
	"id" text COLLATE "C" NOT NULL,
	"version_from" bigint NOT NULL,
	"version_to" bigint,
	"attrs" json NOT NULL,
	"tags" json NOT NULL,
	"parents" json NOT NULL,
	CONSTRAINT "entities_tenant_type_id_version_from_pk" PRIMARY KEY("tenant","type","id","version_from")
);
--> statement-breakpoint
CREATE TABLE "warder"."gateway_keys" (
	"tenant" text COLLATE "C" NOT NULL,
	"gateway" uuid NOT NULL,
	"hash" text COLLATE "C" NOT NULL,
	"hint" text NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"expires_at" timestamp with time zone,
	"revoked_at" timestamp with time zone,
	CONSTRAINT "gateway_keys_tenant_gateway_hash_pk" PRIMARY KEY("tenant","gateway","hash"),
	CONSTRAINT "gateway_keys_hash" UNIQUE("hash")
);
--> statement-breakpoint
CREATE TABLE "warder"."gateways" (
	"tenant" text COLLATE "C" NOT NULL,
	"id" uuid DEFAULT gen_random_uuid() NOT NULL,
	"name" text COLLATE "C" NOT NULL,
	"asserts" json,
	"user_only" boolean NOT NULL,
	"obligations" json,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"revoked_at" timestamp with time zone,
	CONSTRAINT "gateways_tenant_id_pk" PRIMARY KEY("tenant","id"),
	CONSTRAINT "gateways_name" UNIQUE("tenant","name")
);
--> statement-breakpoint
CREATE TABLE "warder"."issuers" (
	"tenant" text COLLATE "C" NOT NULL,
	"issuer" text COLLATE "C" NOT NULL,
	"record" json NOT NULL,
	"updated_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "issuers_tenant_issuer_pk" PRIMARY KEY("tenant","issuer")
);
--> statement-breakpoint
CREATE TABLE "warder"."release_policies" (
	"tenant" text COLLATE "C" NOT NULL,
	"release" text COLLATE "C" NOT NULL,
	"ordinal" integer NOT NULL,
	"record" json NOT NULL,
	CONSTRAINT "release_policies_tenant_release_ordinal_pk" PRIMARY KEY("tenant","release","ordinal")
);
--> statement-breakpoint
CREATE TABLE "warder"."releases" (
	"tenant" text COLLATE "C" NOT NULL,
	"release" text COLLATE "C" NOT NULL,
	"vocabulary" text NOT NULL,
	"validated" boolean NOT NULL,
	"schema_model" json,
	"schema_text" text,
	"sources" json NOT NULL,
	"policy_count" integer NOT NULL,
	"pushed_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "releases_tenant_release_pk" PRIMARY KEY("tenant","release")
);
--> statement-breakpoint
CREATE TABLE "warder"."state" (
	"id" integer PRIMARY KEY NOT NULL,
	"database" uuid DEFAULT gen_random_uuid() NOT NULL,
	"version" bigint NOT NULL,
	CONSTRAINT "state_one_row" CHECK ("warder"."state"."id" = 1)
);
--> statement-breakpoint
CREATE TABLE "warder"."tenants" (
	"tenant" text COLLATE "C" PRIMARY KEY NOT NULL,
	"state_version" bigint NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "warder"."writers" (
	"writer" text COLLATE "C" PRIMARY KEY NOT NULL,
	"application" text NOT NULL,
	"started_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
ALTER TABLE "warder"."activations" ADD CONSTRAINT "activations_tenant_release_releases_tenant_release_fk" FOREIGN KEY ("tenant","release") REFERENCES "warder"."releases"("tenant","release") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "warder"."entities" ADD CONSTRAINT "entities_tenant_tenants_tenant_fk" FOREIGN KEY ("tenant") REFERENCES "warder"."tenants"("tenant") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "warder"."gateway_keys" ADD CONSTRAINT "gateway_keys_tenant_gateway_gateways_tenant_id_fk" FOREIGN KEY ("tenant","gateway") REFERENCES "warder"."gateways"("tenant","id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "warder"."gateways" ADD CONSTRAINT "gateways_tenant_tenants_tenant_fk" FOREIGN KEY ("tenant") REFERENCES "warder"."tenants"("tenant") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "warder"."issuers" ADD CONSTRAINT "issuers_tenant_tenants_tenant_fk" FOREIGN KEY ("tenant") REFERENCES "warder"."tenants"("tenant") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "warder"."release_policies" ADD CONSTRAINT "release_policies_tenant_release_releases_tenant_release_fk" FOREIGN KEY ("tenant","release") REFERENCES "warder"."releases"("tenant","release") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "warder"."releases" ADD CONSTRAINT "releases_tenant_tenants_tenant_fk" FOREIGN KEY ("tenant") REFERENCES "warder"."tenants"("tenant") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "decisions_tenant_time" ON "warder"."decisions" USING btree ("tenant","decided_at","decision_id");--> statement-breakpoint
CREATE INDEX "decisions_time" ON "warder"."decisions" USING btree ("decided_at","decision_id");--> statement-breakpoint
CREATE INDEX "decisions_tenant_deny" ON "warder"."decisions" USING btree ("tenant","decided_at","decision_id") WHERE "warder"."decisions"."decision" = 'deny';--> statement-breakpoint
CREATE INDEX "decisions_tenant_reason" ON "warder"."decisions" USING btree ("tenant","reason","decided_at","decision_id");--> statement-breakpoint
CREATE INDEX "decisions_tenant_agent" ON "warder"."decisions" USING btree ("tenant","agent","decided_at","decision_id");--> statement-breakpoint
CREATE INDEX "decisions_tenant_user" ON "warder"."decisions" USING btree ("tenant","user","decided_at","decision_id");--> statement-breakpoint
CREATE INDEX "decisions_tenant_tool" ON "warder"."decisions" USING btree ("tenant","tool","decided_at","decision_id");--> statement-breakpoint
CREATE UNIQUE INDEX "entities_current" ON "warder"."entities" USING btree ("tenant","type","id") WHERE "warder"."entities"."version_to" is null;--> statement-breakpoint
CREATE INDEX "entities_version_from" ON "warder"."entities" USING btree ("tenant","version_from");--> statement-breakpoint
CREATE INDEX "entities_version_to" ON "warder"."entities" USING btree ("tenant","version_to") WHERE "warder"."entities"."version_to" is not null;--> statement-breakpoint
CREATE INDEX "releases_pushed_at" ON "warder"."releases" USING btree ("tenant","pushed_at","release");--> statement-breakpoint
CREATE INDEX "tenants_state_version" ON "warder"."tenants" USING btree ("state_version");