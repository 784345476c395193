ALTER TABLE "warder"."federations" DROP CONSTRAINT "federations_home_tenants_tenant_fk";
--> statement-breakpoint
ALTER TABLE "warder"."federations" DROP CONSTRAINT "federations_foreign_tenant_tenants_tenant_fk";
