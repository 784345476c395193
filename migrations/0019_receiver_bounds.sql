DROP INDEX "warder"."signal_outbox_due";--> statement-breakpoint
ALTER TABLE "warder"."signal_receivers" ADD COLUMN "origin" text;--> statement-breakpoint
ALTER TABLE "warder"."signal_receivers" ADD COLUMN "changes_until" timestamp with time zone;--> statement-breakpoint
CREATE INDEX "signal_outbox_due" ON "warder"."signal_outbox" USING btree ("receiver","next_at") WHERE "warder"."signal_outbox"."delivered_at" is null;--> statement-breakpoint
-- Where receivers that are there already are pushed to, they may stay; what waited for a change of its stream is due.
UPDATE "warder"."signal_receivers" SET "origin" = lower(substring("url" from '^https?://[^/?#]+')) WHERE "private_network" AND "url" IS NOT NULL;--> statement-breakpoint
UPDATE "warder"."signal_outbox" SET "next_at" = now() WHERE "delivered_at" IS NULL AND "next_at" = 'infinity';
