CREATE TABLE "warder"."signal_polls" (
	"stream" uuid PRIMARY KEY NOT NULL,
	"next_at" timestamp with time zone DEFAULT now() NOT NULL,
	"failures" integer DEFAULT 0 NOT NULL,
	"polled_at" timestamp with time zone,
	"fault" text
);
--> statement-breakpoint
ALTER TABLE "warder"."signal_polls" ADD CONSTRAINT "signal_polls_stream_signal_streams_stream_fk" FOREIGN KEY ("stream") REFERENCES "warder"."signal_streams"("stream") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "signal_polls_due" ON "warder"."signal_polls" USING btree ("next_at");--> statement-breakpoint
-- Servers of the version before run on: the role keeps its rights, and reads the new table.
DO $$
BEGIN
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'warder_runtime') THEN PERFORM warder.grant_runtime(); END IF;
END
$$;
