ALTER TABLE "warder"."api_keys" ADD COLUMN "scopes" json DEFAULT '[]'::json NOT NULL;--> statement-breakpoint
ALTER TABLE "warder"."api_keys" ADD COLUMN "gateways" json;