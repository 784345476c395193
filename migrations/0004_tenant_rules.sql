ALTER TABLE "warder"."gateways" ADD COLUMN "settings" json;--> statement-breakpoint
ALTER TABLE "warder"."tenants" ADD COLUMN "rules" json;