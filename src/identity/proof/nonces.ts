import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto'
import { type EpochMilliseconds, toSeconds } from '#lib/clock.ts'
import type { TenantId } from '#model/ids.ts'
import { decodeBase64url } from './compact-jws.ts'

/** Nonces for proofs, which no server has to remember (RFC 9449 section 8). */
export interface Nonces {
  /** The nonce of now; the same for everyone of a tenant within 150 seconds. */
  issue(tenant: TenantId, now: EpochMilliseconds): string
  /** Whether `nonce` is ours, of this window or the one before. */
  accepts(tenant: TenantId, now: EpochMilliseconds, nonce: string): boolean
}

const WINDOW_SECONDS = 150
const TIME_BYTES = 6
const MAC_BYTES = 18
const TENANTS_MAX = 10_000

/**
 * Nonces over one secret, 32 bytes, that all servers share; a new secret ends the nonces of the one before.
 *
 * INVARIANT: each tenant has a key of its own, so that a nonce of one says nothing in another.
 */
export function createNonces(secret: () => Uint8Array): Nonces {
  const keys = new Map<TenantId, Uint8Array>()
  let present: Uint8Array | undefined
  const keyOf = (tenant: TenantId): Uint8Array => {
    const current = secret()
    if (current !== present || keys.size >= TENANTS_MAX) keys.clear()
    present = current
    const known = keys.get(tenant)
    if (known !== undefined) return known
    const key = new Uint8Array(hkdfSync('sha256', current, '', `proof nonce ${tenant}`, 32))
    keys.set(tenant, key)
    return key
  }
  const make = (tenant: TenantId, window: number): Buffer => {
    const time = Buffer.alloc(TIME_BYTES)
    time.writeUIntBE(window, 0, TIME_BYTES)
    const mac = createHmac('sha256', keyOf(tenant)).update(time).digest()
    return Buffer.concat([time, mac.subarray(0, MAC_BYTES)])
  }
  return {
    issue: (tenant, now) => make(tenant, windowOf(now)).toString('base64url'),
    accepts(tenant, now, nonce) {
      const bytes = decodeBase64url(nonce)
      if (bytes?.length !== TIME_BYTES + MAC_BYTES) return false
      const window = windowOf(now)
      return [window, window - 1].some((each) => timingSafeEqual(make(tenant, each), bytes))
    },
  }
}

function windowOf(now: EpochMilliseconds): number {
  return Math.floor(toSeconds(now) / WINDOW_SECONDS)
}
