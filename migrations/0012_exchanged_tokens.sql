CREATE TABLE "warder"."exchanged_tokens" (
	"id" uuid PRIMARY KEY DEFAULT gen_random_uuid() NOT NULL,
	"tenant" text COLLATE "C" NOT NULL,
	"issuer" text COLLATE "C" NOT NULL,
	"sealed" text NOT NULL,
	"dependencies" text[] NOT NULL,
	"subject_issued_at" bigint,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"expires_at" timestamp with time zone NOT NULL,
	"due_at" timestamp with time zone,
	"attempts" integer DEFAULT 0 NOT NULL
);
--> statement-breakpoint
ALTER TABLE "warder"."exchanged_tokens" ADD CONSTRAINT "exchanged_tokens_tenant_tenants_tenant_fk" FOREIGN KEY ("tenant") REFERENCES "warder"."tenants"("tenant") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "exchanged_tokens_dependencies" ON "warder"."exchanged_tokens" USING gin ("dependencies");--> statement-breakpoint
CREATE INDEX "exchanged_tokens_due_at" ON "warder"."exchanged_tokens" USING btree ("due_at") WHERE "warder"."exchanged_tokens"."due_at" is not null;--> statement-breakpoint
CREATE INDEX "exchanged_tokens_expires_at" ON "warder"."exchanged_tokens" USING btree ("expires_at");--> statement-breakpoint
-- Servers of the version before run on: the role keeps its rights, and reads the new table, in which every token is sealed.
DO $$
BEGIN
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'warder_runtime') THEN PERFORM warder.grant_runtime(); END IF;
END
$$;
