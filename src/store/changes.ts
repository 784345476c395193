import type { TenantId } from '#model/ids.ts'
import type { Writer } from './audit.ts'
import type { Transaction } from './connections.ts'

/** NOTIFY channel; the payload is JSON with `version` and `tenant`. Polling covers lost notifications. */
export const CHANGES_CHANNEL = 'warder_changes'

/**
 * Runs `change` in a transaction of `tenant`, with the next state version. The notification leaves at commit.
 *
 * INVARIANT: the version row is locked until commit, so versions become visible in their order and without holes: who
 * has seen version N has seen everything up to N.
 *
 * @param change may call `keep()` to say that nothing changed; the version then stays.
 * @returns 'tenant_unknown', or what `change` gave.
 */
export async function changeTenant<T>(
  { owner }: Writer,
  tenant: TenantId,
  change: (transaction: Transaction, version: number, keep: () => void) => Promise<T>,
): Promise<T | 'tenant_unknown'> {
  const outcome = await owner
    .begin(async (transaction) => {
      const [row] = await transaction<
        { version: string }[]
      >`update state set version = version + 1 where id = 1 returning version::text`
      const version = Number(row?.version)
      const found = await transaction`update tenants set state_version = ${version} where tenant = ${tenant}`
      if (found.count === 0) throw new Abandoned('tenant_unknown')
      let isKept = false
      const result = await change(transaction, version, () => {
        isKept = true
      })
      if (isKept) throw new Abandoned(result)
      await notifyChange(transaction, tenant, version)
      return { result }
    })
    .catch((error: unknown) => {
      if (error instanceof Abandoned) return { result: error.result as T | 'tenant_unknown' }
      throw error
    })
  return outcome.result
}

/** Like `changeTenant`, for what concerns every tenant and belongs to none; no tenant's own version moves. */
export async function changeEverywhere<T>(
  { owner }: Writer,
  change: (transaction: Transaction, version: number) => Promise<T>,
): Promise<T> {
  const outcome = await owner.begin(async (transaction) => {
    const [row] = await transaction<
      { version: string }[]
    >`update state set version = version + 1 where id = 1 returning version::text`
    const version = Number(row?.version)
    const result = await change(transaction, version)
    await notifyChange(transaction, null, version)
    return { result }
  })
  return outcome.result
}

/** Tells every listener, at commit, that `tenant` has a new version; null: that something concerns all. */
export async function notifyChange(
  transaction: Transaction,
  tenant: TenantId | null,
  version: number,
): Promise<void> {
  await transaction`select pg_notify(${CHANGES_CHANNEL}, ${JSON.stringify({ version, tenant })})`
}

/** Rolls the transaction back without being a failure. */
class Abandoned extends Error {
  readonly result: unknown
  constructor(result: unknown) {
    super('nothing changed')
    this.result = result
  }
}
