import { openSealing, type Sealing } from '#admin/sealing.ts'
import type { Config } from '#config.ts'
import { endDueTokens } from '#identity/end-tokens.ts'
import { sendOutbound } from '#identity/outbound.ts'
import { createTokenExchanger, type TokenExchanger } from '#identity/token-exchange.ts'
import { systemClock } from '#lib/clock.ts'
import type { TenantId } from '#model/ids.ts'
import type { Dependency } from '#model/revocation.ts'
import type { State } from '#model/state.ts'
import type { FaultLines } from '#process/fault-lines.ts'
import { faultText } from '#process/log.ts'
import type { Database } from '#store/database.ts'
import { createDueTokens, entitiesOf, keepExchangedToken } from '#store/exchanged-tokens.ts'
import type { FeedWatch } from '#store/feed-watch.ts'

/** The exchange of tokens, and the end of those that were exchanged. */
export interface WiredExchange {
  readonly exchanger: TokenExchanger
  /** Tells `next` and the exchanger of revocations. */
  watched(next: FeedWatch): FeedWatch
  /** From now on looks every second for tokens that are to be ended, whichever server has exchanged them. */
  endTokens(state: State): void
  close(): Promise<void>
}

const POLL_MILLISECONDS = 1_000

/** @throws when the key file for sealing can't be used */
export async function wireExchange(
  config: Pick<Config, 'dataDirectory' | 'secretKeyFile'>,
  db: Database,
  faults: FaultLines,
): Promise<WiredExchange> {
  const sealing = await openSealing(config.dataDirectory, config.secretKeyFile)
  const onFault = (about: string, fault: string): void =>
    faults.report({ message: 'a token exchange failed', about, fault })
  const exchanger = createTokenExchanger({
    send: sendOutbound,
    openSecret: (tenant, issuer) => sealing.openExchangeSecret(tenant, issuer),
    keep: async ({ token, ...kept }) => {
      const sealed = sealing.sealToken(kept.tenant, kept.issuer, token.reveal())
      await keepExchangedToken(db, { ...kept, sealed })
    },
    onFault,
  })
  let timer: NodeJS.Timeout | undefined
  let underWay: Promise<void> | undefined
  let known: State | undefined
  const isStopped = (tenant: TenantId) => (dependency: Dependency) =>
    entitiesOf(dependency).some(([type, id]) => {
      const found = known?.tenant(tenant)?.registry.find({ type, id })
      return (found?.attrs['status'] ?? 'active') !== 'active'
    })
  return {
    exchanger,
    watched: (next) => watchOf(exchanger, isStopped, next),
    endTokens(state) {
      known = state
      timer = setInterval(() => {
        underWay ??= endOnce(db, sealing, state, faults).finally(() => {
          underWay = undefined
        })
      }, POLL_MILLISECONDS)
    },
    close: async () => {
      clearInterval(timer)
      await underWay
    },
  }
}

/**
 * INVARIANT: what a revocation or suspension ends is forgotten before anything is decided by a state that has it no more, unless it
 * was over before this server heard of it.
 */
function watchOf(
  exchanger: TokenExchanger,
  isStopped: (tenant: TenantId) => (dependency: Dependency) => boolean,
  next: FeedWatch,
): FeedWatch {
  return {
    revoked(rows) {
      for (const { tenant, revocation } of rows) exchanger.forget(tenant, [revocation])
      next.revoked(rows)
    },
    settled(tenants, version, isWhole) {
      if (isWhole || tenants === undefined) exchanger.forgetAll()
      else for (const tenant of tenants) exchanger.forgetStopped(tenant, isStopped(tenant))
      next.settled(tenants, version, isWhole)
    },
  }
}

async function endOnce(db: Database, sealing: Sealing, state: State, faults: FaultLines): Promise<void> {
  try {
    await endDueTokens(
      {
        due: createDueTokens(db),
        send: sendOutbound,
        openSecret: (tenant, issuer) => sealing.openExchangeSecret(tenant, issuer),
        open: ({ tenant, issuer, sealed }) => sealing.openToken(tenant, issuer, sealed),
        findIssuer: (tenant, name) => state.tenant(tenant)?.issuers.find(({ issuer }) => issuer === name),
        onFault: (about, fault) =>
          faults.report({ message: 'an exchanged token could not be ended', about, fault }),
      },
      systemClock(),
    )
  } catch (error) {
    faults.report({ message: 'tokens that are to be ended could not be read', fault: faultText(error) })
  }
}
