import { changedSettings, type GatewaySettingsChange } from '#admin/gateway-settings.ts'
import type { AdminStore, GatewayListing, NewGateway, Page } from '#admin/ports.ts'
import type { EpochMilliseconds } from '#lib/clock.ts'
import type { GatewaySettings } from '#model/gateway.ts'
import type { GatewayId, TenantId } from '#model/ids.ts'
import type { JsonObject } from '#model/value.ts'
import type { Writer } from './audit.ts'
import { changeTenant } from './changes.ts'
import type { Sql } from './connections.ts'
import { instantText, limitOf } from './rows.ts'

/** Registers a gateway with its first key. A name is taken for ever, also by a revoked gateway. */
export async function addGateway(writer: Writer, gateway: NewGateway): ReturnType<AdminStore['addGateway']> {
  return await changeTenant(writer, gateway.tenant, async (transaction, _version, keep) => {
    const [added] = await transaction<{ id: GatewayId }[]>`
      insert into gateways (tenant, name, asserts, user_only, obligations, settings)
      values (${gateway.tenant}, ${gateway.name}, ${json(gateway.asserts)}::text::json, ${gateway.userOnly},
        ${json(gateway.obligations)}::text::json, ${json(gateway.settings ?? null)}::text::json)
      on conflict (tenant, name) do nothing returning id`
    if (added === undefined) {
      keep()
      return 'exists' as const
    }
    const keyed = await transaction`
      insert into gateway_keys (tenant, gateway, hash, hint)
      values (${gateway.tenant}, ${added.id}, ${gateway.keyHash}, ${gateway.keyHint}) on conflict (hash) do nothing`
    if (keyed.count === 0) {
      keep()
      return 'key_taken' as const
    }
    const { tenant, name, asserts, userOnly, obligations, settings = null, keyHint } = gateway
    const facts = { asserts, user_only: userOnly, obligations, settings: shown(settings) }
    const after = { gateway: added.id, ...facts, key_hints: [keyHint] }
    await writer.record(transaction, { tenant, target: name, before: null, after })
    return added.id
  })
}

/** Settings as the audit keeps them. */
function shown(settings: GatewaySettings | null): JsonObject | null {
  return settings === null ? null : { ...settings }
}

function json(value: readonly string[] | GatewaySettings | null): string | null {
  return value === null ? null : JSON.stringify(value)
}

/**
 * Gateways by name; over all tenants by tenant and name, with `tenant/name` as the page key.
 * Key hints are those of keys that still work.
 */
export async function listGateways(
  sql: Sql,
  tenant: TenantId | undefined,
  page: Page,
): Promise<readonly GatewayListing[]> {
  const after = page.after ?? ''
  // Tenant names contain no slash.
  const slash = after.indexOf('/')
  const where =
    tenant === undefined
      ? sql`(g.tenant, g.name) > (${after.slice(0, Math.max(slash, 0))}, ${after.slice(slash + 1)})`
      : sql`g.tenant = ${tenant} and g.name > ${after}`
  return await sql<GatewayListing[]>`
    select g.id, g.name, g.tenant, g.asserts, g.user_only, g.obligations, g.settings,
      coalesce((select json_agg(k.hint order by k.created_at) from gateway_keys k
        where k.tenant = g.tenant and k.gateway = g.id and k.revoked_at is null
          and (k.expires_at is null or k.expires_at > now())), '[]'::json) as key_hints,
      ${instantText(sql, 'g.created_at')} as created_at, ${instantText(sql, 'g.revoked_at')} as revoked_at
    from gateways g where ${where} order by g.tenant, g.name limit ${limitOf(page)}`
}

/** Adds a key; keys without an end, or with a later one, end at `until`. */
export async function rotateGateway(
  writer: Writer,
  tenant: TenantId,
  name: string,
  key: { readonly hash: string; readonly hint: string; readonly until: EpochMilliseconds },
): Promise<'rotated' | 'unknown'> {
  const outcome = await changeTenant(writer, tenant, async (transaction, _version, keep) => {
    const [found] = await transaction<{ id: GatewayId }[]>`
      select id from gateways where tenant = ${tenant} and name = ${name} and revoked_at is null`
    if (found === undefined) {
      keep()
      return 'unknown' as const
    }
    const until = new Date(key.until).toISOString()
    await transaction`
      update gateway_keys set expires_at = least(expires_at, ${until}::text::timestamptz)
      where tenant = ${tenant} and gateway = ${found.id} and revoked_at is null`
    await transaction`
      insert into gateway_keys (tenant, gateway, hash, hint)
      values (${tenant}, ${found.id}, ${key.hash}, ${key.hint})`
    const after = { gateway: found.id, key_hint: key.hint, older_keys_until: until }
    await writer.record(transaction, { tenant, target: name, before: { gateway: found.id }, after })
    return 'rotated' as const
  })
  return outcome === 'tenant_unknown' ? 'unknown' : outcome
}

/** Changes settings; the same ones again are no change. */
export async function setGateway(
  writer: Writer,
  tenant: TenantId,
  name: string,
  change: GatewaySettingsChange,
): ReturnType<AdminStore['setGateway']> {
  const outcome = await changeTenant(writer, tenant, async (transaction, _version, keep) => {
    const [found] = await transaction<{ id: GatewayId; settings: GatewaySettings | null }[]>`
      select id, settings from gateways where tenant = ${tenant} and name = ${name} and revoked_at is null`
    if (found === undefined) {
      keep()
      return 'unknown' as const
    }
    const settings = changedSettings(found.settings, change)
    if (json(settings) === json(found.settings)) keep()
    else {
      await transaction`
        update gateways set settings = ${json(settings)}::text::json
        where tenant = ${tenant} and name = ${name} and revoked_at is null`
      const [before, after] = [shown(found.settings), shown(settings)]
      await writer.record(transaction, {
        tenant,
        target: name,
        before: { settings: before },
        after: { settings: after },
      })
    }
    return { gateway: found.id, settings: settings ?? {} }
  })
  return outcome === 'tenant_unknown' ? 'unknown' : outcome
}

/** Ends a gateway and all its keys. */
export async function revokeGateway(
  writer: Writer,
  tenant: TenantId,
  name: string,
): Promise<'revoked' | 'unknown'> {
  const outcome = await changeTenant(writer, tenant, async (transaction, _version, keep) => {
    const [revoked] = await transaction<{ id: GatewayId }[]>`
      update gateways set revoked_at = now()
      where tenant = ${tenant} and name = ${name} and revoked_at is null returning id`
    if (revoked === undefined) {
      keep()
      return 'unknown' as const
    }
    await transaction`
      update gateway_keys set revoked_at = now()
      where tenant = ${tenant} and gateway = ${revoked.id} and revoked_at is null`
    await writer.record(transaction, {
      tenant,
      target: name,
      before: { gateway: revoked.id, revoked: false },
      after: { gateway: revoked.id, revoked: true },
    })
    return 'revoked' as const
  })
  return outcome === 'tenant_unknown' ? 'unknown' : outcome
}
