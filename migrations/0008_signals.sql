CREATE TABLE "warder"."signal_events" (
	"tenant" text COLLATE "C" NOT NULL,
	"stream" text COLLATE "C" NOT NULL,
	"id" text COLLATE "C" NOT NULL,
	"event" text COLLATE "C" NOT NULL,
	"effects" json NOT NULL,
	"received_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "signal_events_tenant_stream_id_pk" PRIMARY KEY("tenant","stream","id")
);
--> statement-breakpoint
CREATE TABLE "warder"."signal_streams" (
	"stream" uuid PRIMARY KEY DEFAULT gen_random_uuid() NOT NULL,
	"tenant" text COLLATE "C" NOT NULL,
	"name" text COLLATE "C" NOT NULL,
	"record" json NOT NULL,
	"authorization_hash" text NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"last_event_at" timestamp with time zone,
	"verified_state" text,
	"verified_at" timestamp with time zone,
	"status" text DEFAULT 'enabled' NOT NULL,
	CONSTRAINT "signal_streams_name" UNIQUE("tenant","name")
);
--> statement-breakpoint
ALTER TABLE "warder"."signal_streams" ADD CONSTRAINT "signal_streams_tenant_tenants_tenant_fk" FOREIGN KEY ("tenant") REFERENCES "warder"."tenants"("tenant") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "signal_events_received_at" ON "warder"."signal_events" USING btree ("tenant","received_at");--> statement-breakpoint
-- Servers of the version before run on: the role keeps its rights, and reads the new tables.
DO $$
BEGIN
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'warder_runtime') THEN PERFORM warder.grant_runtime(); END IF;
END
$$;
