CREATE TABLE "warder"."signal_keys" (
	"kid" text COLLATE "C" PRIMARY KEY NOT NULL,
	"jwk" json NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "warder"."signal_outbox" (
	"id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "warder"."signal_outbox_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"receiver" uuid NOT NULL,
	"token" uuid DEFAULT gen_random_uuid() NOT NULL,
	"subject" json NOT NULL,
	"events" json NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"attempts" integer DEFAULT 0 NOT NULL,
	"next_at" timestamp with time zone DEFAULT now() NOT NULL,
	"delivered_at" timestamp with time zone
);
--> statement-breakpoint
CREATE TABLE "warder"."signal_receivers" (
	"receiver" uuid PRIMARY KEY DEFAULT gen_random_uuid() NOT NULL,
	"tenant" text COLLATE "C" NOT NULL,
	"name" text COLLATE "C" NOT NULL,
	"kind" text NOT NULL,
	"url" text NOT NULL,
	"audience" text NOT NULL,
	"private_network" boolean NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "signal_receivers_name" UNIQUE("tenant","name"),
	CONSTRAINT "signal_receivers_kind" CHECK ("warder"."signal_receivers"."kind" in ('caep', 'webhook'))
);
--> statement-breakpoint
ALTER TABLE "warder"."signal_outbox" ADD CONSTRAINT "signal_outbox_receiver_signal_receivers_receiver_fk" FOREIGN KEY ("receiver") REFERENCES "warder"."signal_receivers"("receiver") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "warder"."signal_receivers" ADD CONSTRAINT "signal_receivers_tenant_tenants_tenant_fk" FOREIGN KEY ("tenant") REFERENCES "warder"."tenants"("tenant") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "signal_outbox_due" ON "warder"."signal_outbox" USING btree ("next_at") WHERE "warder"."signal_outbox"."delivered_at" is null;--> statement-breakpoint
-- Servers of the version before run on: the role keeps its rights, and reads the new tables.
DO $$
BEGIN
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'warder_runtime') THEN PERFORM warder.grant_runtime(); END IF;
END
$$;
