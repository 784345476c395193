import { failed, type Result, success } from '#lib/result.ts'
import { parseTenantId, type TenantId } from '#model/ids.ts'
import { type AdminFailure, invalid, refused, tenantUnknown } from './failure.ts'
import type { AdminStore, TenantSettings } from './ports.ts'
import { parseTenantRules, type RulesProblem } from './tenant-rules.ts'

/** Adds a tenant. Its name is its id and can't be changed later. */
export async function addTenant(
  store: AdminStore,
  name: string,
): Promise<Result<{ readonly tenant: TenantId }, AdminFailure>> {
  const tenant = parseTenantId(name)
  if (tenant === undefined) {
    return failed(
      invalid(
        'tenant.invalid',
        `\`${name.slice(0, 80)}\` can not be the name of a tenant`,
        'use 1 to 63 characters a-z, 0-9, `-`, `_` and `.`, beginning with a letter or digit',
      ),
    )
  }
  return (await store.addTenant(tenant)) === 'exists'
    ? failed(refused('tenant.exists', `there is already a tenant \`${tenant}\``))
    : success({ tenant })
}

const RETENTION_DAYS_MAX = 36_500
const MASK_FIELDS_MAX = 200
const MASK_FIELD_CHARACTERS_MAX = 128

/** Settings to change; `rules` as they were given, not looked at yet. */
export interface TenantChanges extends Partial<Omit<TenantSettings, 'rules'>> {
  readonly rules?: unknown
}

/** Why settings were not changed; `problems` say where in the rules. */
export interface TenantFailure extends AdminFailure {
  readonly problems?: readonly RulesProblem[]
}

/**
 * Changes settings of a tenant and gives those that count from now on. Retention acts when a server maintains its log
 * next, within about an hour, and what it removed does not come back.
 */
export async function setTenant(
  store: AdminStore,
  name: string,
  { rules: given, ...changes }: TenantChanges,
): Promise<Result<TenantSettings & { readonly tenant: TenantId }, TenantFailure>> {
  const tenant = parseTenantId(name)
  if (tenant === undefined) return failed(tenantUnknown(name))
  const objection = objectionTo(changes)
  if (objection !== undefined) return failed(objection)
  const rules = given === undefined ? undefined : parseTenantRules(given)
  if (rules?.ok === false) {
    const failure = invalid('tenant.invalid', 'the rules have problems; nothing was changed')
    return failed({ ...failure, problems: rules.failure })
  }
  const { mask_fields: fields } = changes
  const settings = await store.setTenant(tenant, {
    ...changes,
    ...(fields !== undefined && { mask_fields: [...new Set(fields)].toSorted() }),
    ...(rules !== undefined && { rules: rules.value }),
  })
  return settings === 'tenant_unknown' ? failed(tenantUnknown(tenant)) : success({ tenant, ...settings })
}

function objectionTo({
  retention_days: days,
  mask_fields: fields = [],
}: TenantChanges): AdminFailure | undefined {
  if (
    days !== undefined &&
    days !== null &&
    !(Number.isInteger(days) && days >= 1 && days <= RETENTION_DAYS_MAX)
  )
    return invalid(
      'tenant.invalid',
      `rows can not be kept for ${days} days`,
      'use 1 to 36,500 days, or none to keep all',
    )
  const wrong = fields.find((field) => field === '' || field.length > MASK_FIELD_CHARACTERS_MAX)
  if (wrong !== undefined || fields.length > MASK_FIELDS_MAX)
    return invalid(
      'tenant.invalid',
      `these fields can not be masked: ${wrong === undefined ? fields.length : `\`${wrong.slice(0, 80)}\``}`,
      `use at most ${MASK_FIELDS_MAX} names of 1 to ${MASK_FIELD_CHARACTERS_MAX} characters`,
    )
  return undefined
}
