/** Which tenants have series of their own. */
export interface TenantLabels {
  /** The tenant's name, or `_other` for those that came when there was no room any more. */
  labelOf(tenant: string): string
}

/** The label of all tenants that have none of their own. No tenant can have this name. */
export const OTHER_TENANTS = '_other'

/** Gives names to the first `max` tenants: a label for each would make the series grow without bound. Default 50. */
export function createTenantLabels(max = 50): TenantLabels {
  const tenants = new Set<string>()
  return {
    labelOf: (tenant) => {
      if (tenants.size < max) tenants.add(tenant)
      return tenants.has(tenant) ? tenant : OTHER_TENANTS
    },
  }
}
