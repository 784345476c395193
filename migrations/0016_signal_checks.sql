CREATE TABLE "warder"."signal_checks" (
	"stream" uuid PRIMARY KEY NOT NULL,
	"next_at" timestamp with time zone DEFAULT now() NOT NULL,
	"failures" integer DEFAULT 0 NOT NULL,
	"checked_at" timestamp with time zone,
	"fault" text
);
--> statement-breakpoint
CREATE TABLE "warder"."signal_verifications" (
	"stream" uuid NOT NULL,
	"state" text NOT NULL,
	"asked_at" timestamp with time zone DEFAULT now() NOT NULL,
	"due_at" timestamp with time zone NOT NULL,
	CONSTRAINT "signal_verifications_stream_state_pk" PRIMARY KEY("stream","state")
);
--> statement-breakpoint
ALTER TABLE "warder"."signal_checks" ADD CONSTRAINT "signal_checks_stream_signal_streams_stream_fk" FOREIGN KEY ("stream") REFERENCES "warder"."signal_streams"("stream") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "warder"."signal_verifications" ADD CONSTRAINT "signal_verifications_stream_signal_streams_stream_fk" FOREIGN KEY ("stream") REFERENCES "warder"."signal_streams"("stream") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "signal_checks_due" ON "warder"."signal_checks" USING btree ("next_at");--> statement-breakpoint
-- Servers of the version before run on: the role keeps its rights, and reads the new tables.
DO $$
BEGIN
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'warder_runtime') THEN PERFORM warder.grant_runtime(); END IF;
END
$$;
