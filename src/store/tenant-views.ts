import type { EpochMilliseconds } from '#lib/clock.ts'
import type { Gateway } from '#model/gateway.ts'
import type { TenantId } from '#model/ids.ts'
import type { TenantState } from '#model/state.ts'
import { RevocationLists, type RevocationRow } from './revocation-lists.ts'
import type { KeyedGateway, LoadedTenant } from './tenant-loader.ts'

/** What the decision path sees of each tenant: as it was loaded, with its revocations. */
export class TenantViews {
  readonly #loaded = new Map<TenantId, LoadedTenant>()
  readonly #views = new Map<TenantId, TenantState>()
  readonly #keys = new Map<string, KeyedGateway>()
  #revocations = RevocationLists.empty
  /** Version of the newest change that concerned all tenants. */
  #everywhere = 0

  view(tenant: TenantId): TenantState | undefined {
    return this.#views.get(tenant)
  }

  views(): Iterable<TenantState> {
    return this.#views.values()
  }

  loaded(tenant: TenantId): LoadedTenant | undefined {
    return this.#loaded.get(tenant)
  }

  gatewayByKeyHash(hash: string, now: EpochMilliseconds): Gateway | undefined {
    const found = this.#keys.get(hash)
    return found !== undefined && now < found.expiresAt ? found.gateway : undefined
  }

  /** Puts a tenant in place of what was loaded of it before. */
  replace(loaded: LoadedTenant): void {
    for (const hash of this.#loaded.get(loaded.id)?.gateways.keys() ?? []) this.#keys.delete(hash)
    for (const [hash, gateway] of loaded.gateways) this.#keys.set(hash, gateway)
    this.#loaded.set(loaded.id, loaded)
    this.#show(loaded)
  }

  forget(tenant: TenantId): void {
    for (const hash of this.#loaded.get(tenant)?.gateways.keys() ?? []) this.#keys.delete(hash)
    this.#loaded.delete(tenant)
    this.#views.delete(tenant)
  }

  forgetAllBut(kept: ReadonlySet<TenantId>): void {
    for (const tenant of this.#loaded.keys()) if (!kept.has(tenant)) this.forget(tenant)
  }

  /** Adds and removes revocations in the tenants that they concern. */
  applyRevocations(rows: readonly RevocationRow[], now: EpochMilliseconds): void {
    if (rows.length === 0) return
    this.#revocations = this.#revocations.apply(rows, now)
    const named = new Set(rows.map(({ tenant }) => tenant))
    for (const loaded of this.#loaded.values())
      if (named.has(null) || named.has(loaded.id)) this.#show(loaded)
  }

  /**
   * Takes back what was lifted, now that everything else up to version `until` is loaded.
   *
   * @param isWhole `rows` are all that there is
   * @returns whether it concerned every tenant
   */
  settleRevocations(
    rows: readonly RevocationRow[],
    isWhole: boolean,
    until: number,
    now: EpochMilliseconds,
  ): boolean {
    const isEverywhere = isWhole || rows.some(({ tenant }) => tenant === null)
    if (isEverywhere) this.#everywhere = until
    if (isWhole) this.#revocations = RevocationLists.empty
    this.applyRevocations(isWhole ? rows : rows.filter(({ isInForce }) => !isInForce), now)
    if (isEverywhere) for (const loaded of this.#loaded.values()) this.#show(loaded)
    return isEverywhere
  }

  #show(loaded: LoadedTenant): void {
    const version = Math.max(loaded.version, this.#everywhere)
    this.#views.set(loaded.id, { ...loaded, version, revocations: this.#revocations.of(loaded.id) })
  }
}
