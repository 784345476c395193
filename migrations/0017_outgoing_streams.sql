CREATE TABLE "warder"."signal_receiver_keys" (
	"hash" text COLLATE "C" PRIMARY KEY NOT NULL,
	"receiver" uuid NOT NULL,
	"hint" text NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"ends_at" timestamp with time zone
);
--> statement-breakpoint
ALTER TABLE "warder"."signal_receivers" ALTER COLUMN "url" DROP NOT NULL;--> statement-breakpoint
ALTER TABLE "warder"."signal_outbox" ADD COLUMN "refused" text;--> statement-breakpoint
ALTER TABLE "warder"."signal_receivers" ADD COLUMN "stream" uuid DEFAULT gen_random_uuid();--> statement-breakpoint
ALTER TABLE "warder"."signal_receivers" ADD COLUMN "authorization" text;--> statement-breakpoint
ALTER TABLE "warder"."signal_receivers" ADD COLUMN "status" text DEFAULT 'enabled' NOT NULL;--> statement-breakpoint
ALTER TABLE "warder"."signal_receivers" ADD COLUMN "status_reason" text;--> statement-breakpoint
ALTER TABLE "warder"."signal_receivers" ADD COLUMN "description" text;--> statement-breakpoint
ALTER TABLE "warder"."signal_receivers" ADD COLUMN "events_requested" json;--> statement-breakpoint
ALTER TABLE "warder"."signal_receivers" ADD COLUMN "wanted" boolean DEFAULT true NOT NULL;--> statement-breakpoint
ALTER TABLE "warder"."signal_receivers" ADD COLUMN "verification_at" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "warder"."signal_receivers" ADD COLUMN "dropped" bigint DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "warder"."signal_receiver_keys" ADD CONSTRAINT "signal_receiver_keys_receiver_signal_receivers_receiver_fk" FOREIGN KEY ("receiver") REFERENCES "warder"."signal_receivers"("receiver") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "signal_receiver_keys_receiver" ON "warder"."signal_receiver_keys" USING btree ("receiver");--> statement-breakpoint
CREATE INDEX "signal_outbox_waiting" ON "warder"."signal_outbox" USING btree ("receiver","id") WHERE "warder"."signal_outbox"."delivered_at" is null;--> statement-breakpoint
ALTER TABLE "warder"."signal_receivers" ADD CONSTRAINT "signal_receivers_stream" UNIQUE("stream");--> statement-breakpoint
ALTER TABLE "warder"."signal_receivers" ADD CONSTRAINT "signal_receivers_status" CHECK ("warder"."signal_receivers"."status" in ('enabled', 'paused', 'disabled'));--> statement-breakpoint
-- Servers of the version before run on: the role keeps its rights, and reads the new table.
DO $$
BEGIN
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'warder_runtime') THEN PERFORM warder.grant_runtime(); END IF;
END
$$;
