import { installationSecret } from '#admin/installation-secret.ts'
import { openSealing } from '#admin/sealing.ts'
import type { Config } from '#config.ts'
import type { SealPlaces } from '#decide/search.ts'
import { createDecider, type Steps } from '#decide.ts'
import { createMask } from '#decision-log/mask.ts'
import type { LogWriter } from '#decision-log/writer.ts'
import type { Admit } from '#delegation/admission.ts'
import type { DecisionStep, Metrics } from '#http/metrics.ts'
import { createClientDocuments, type FetchedClientDocuments } from '#identity/client-documents.ts'
import type { TokenFamilies } from '#identity/families.ts'
import { createIntrospect } from '#identity/introspect.ts'
import { createFetchJwks } from '#identity/jwks-fetch.ts'
import { createKeySets, type KeySets } from '#identity/key-sets.ts'
import { sendOutbound } from '#identity/outbound.ts'
import { createProofStep } from '#identity/proof/proof-step.ts'
import { createStatusLists } from '#identity/status-lists.ts'
import { createTokenCache } from '#identity/token-cache.ts'
import type { TokenExchanger } from '#identity/token-exchange.ts'
import { createVerify } from '#identity/verify.ts'
import type { CacheStats } from '#lib/cache-stats.ts'
import { systemClock } from '#lib/clock.ts'
import { type ObserveTime, timed, timedAsync } from '#lib/timed.ts'
import type { Decider } from '#model/decider.ts'
import type { State } from '#model/state.ts'
import type { Engine } from '#policy/engine/engine.ts'
import { createJudgePolicy } from '#policy/judge.ts'
import type { ProvenTenant, ProvingStats } from '#policy/shadow/proven-engine.ts'
import type { FaultLines } from '#process/fault-lines.ts'
import { faultText } from '#process/log.ts'
import type { Breakers } from '#revocation/breakers.ts'
import type { ProofStore } from '#store/proofs.ts'
import type { Telemetry } from '#telemetry/telemetry.ts'
import { wireCapabilities } from './capabilities.ts'
import { wireEngine } from './engine.ts'

/** How often is looked which status lists are due. */
const STATUS_MILLISECONDS = 5_000

/** What stands around the decision path. */
export interface Surroundings {
  readonly state: State
  /** Every tenant that is served, whose releases are to be proven. */
  readonly tenants: () => Iterable<ProvenTenant>
  readonly writer: LogWriter
  readonly proofs: Pick<ProofStore, 'reserve' | 'nonceSecret'>
  readonly breakers: Breakers
  /** Undefined: an older token of a session is as good as a newer one. */
  readonly families?: TokenFamilies
  /** Registers agents just in time. */
  readonly admit: Admit
  /** Undefined: gateways exchange tokens themselves. */
  readonly exchanger?: TokenExchanger
  readonly metrics: Metrics
  readonly faults: FaultLines
  /** Undefined unless something is exported. */
  readonly telemetry: Telemetry | undefined
}

/** The decision path, and what is read from it. */
export interface WiredDecider {
  readonly decider: Decider
  readonly engine: Engine
  readonly proving: () => ProvingStats
  readonly caches: { readonly [name: string]: () => CacheStats }
  readonly keys: Pick<KeySets, 'health'>
  /** Stops fetches of keys and the proving of releases. */
  close(): void
}

/**
 * The decision path with each of its steps measured from outside.
 * @throws when the policy engine does not tell a known allow from a known deny.
 */
export async function wireDecider(
  config: Config,
  {
    state,
    tenants,
    writer,
    proofs,
    breakers,
    families,
    admit,
    exchanger,
    metrics,
    faults,
    telemetry,
  }: Surroundings,
): Promise<WiredDecider> {
  const tokens = createTokenCache()
  const { evaluate, engine, ...policy } = await wireEngine(config, { tenants, faults })
  const keys = createKeySets({
    fetch: createFetchJwks(),
    clock: systemClock,
    onFault: (about, fault) => {
      metrics.keysFault()
      faults.report({ message: 'the keys of an issuer could not be fetched', about, fault })
    },
  })
  const statuses = createStatusLists({
    send: sendOutbound,
    keys,
    clock: systemClock,
    onFault: (about, fault) => faults.report({ message: 'a status list could not be fetched', about, fault }),
  })
  const documents = fetchDocuments(faults)
  const refreshing = setInterval(() => void statuses.refresh(), STATUS_MILLISECONDS).unref()
  const proofStep = createProofStep({
    replay: proofs,
    nonceSecret: proofs.nonceSecret,
    onFault: (error) =>
      faults.report({ message: 'the store of used proofs could not be asked', fault: faultText(error) }),
  })
  const sealing = await openSealing(config.dataDirectory, config.secretKeyFile)
  const introspect = createIntrospect({
    send: sendOutbound,
    openSecret: (tenant, issuer) => sealing.openSecret(tenant, issuer),
    keys,
    onFault: (about, fault) =>
      faults.report({ message: 'an issuer could not be asked about a token', about, fault }),
  })
  const step = observeStep(metrics, telemetry)
  const decider = createDecider({
    clock: systemClock,
    state,
    freshnessMillisecondsMax: config.freshnessSeconds * 1000,
    verify: timedAsync(
      createVerify({ keys, cache: tokens, proofs: proofStep, introspect, ...(families && { families }) }),
      step('identity'),
    ),
    judgePolicy: timed(createJudgePolicy(evaluate), step('policy')),
    breakers,
    statuses,
    documents,
    onUnverified: ({ tenant, name }) => metrics.unverified(tenant, name),
    admit,
    tenants,
    ...(await extrasOf(config, exchanger, sealing)),
    mask: createMask(await installationSecret(config.dataDirectory)),
    log: { write: timedAsync((entry) => writer.write(entry), step('log')) },
    onFault: (error) =>
      faults.report({ message: 'a request ended in a fault and was denied', fault: faultText(error) }),
  })
  return {
    decider: telemetry?.traced(decider) ?? decider,
    engine,
    keys,
    proving: () => policy.stats(),
    caches: {
      token: () => tokens.stats(),
      ...policy.caches,
      ...(exchanger !== undefined && { exchange: () => exchanger.stats() }),
    },
    close: () => {
      clearInterval(refreshing)
      for (const each of [statuses, documents, keys, policy]) each.close()
    },
  }
}

function fetchDocuments(faults: FaultLines): FetchedClientDocuments {
  return createClientDocuments({
    send: sendOutbound,
    clock: systemClock,
    onFault: (about, fault) =>
      faults.report({ message: 'the metadata document of a client can not be used', about, fault }),
  })
}

/** What is made for answers that need it. */
async function extrasOf(
  config: Config,
  exchanger: TokenExchanger | undefined,
  places: SealPlaces,
): Promise<Pick<Steps, 'exchanger' | 'signCapabilities' | 'places'>> {
  return { places, ...(exchanger !== undefined && { exchanger }), ...(await wireCapabilities(config)) }
}

function observeStep(
  metrics: Metrics,
  telemetry: Telemetry | undefined,
): (name: DecisionStep) => ObserveTime {
  return (name) => {
    const measure: ObserveTime = (startedAt, endedAt) => metrics.step(name, (endedAt - startedAt) / 1000)
    if (telemetry === undefined) return measure
    return (startedAt, endedAt) => {
      measure(startedAt, endedAt)
      telemetry.step(name, startedAt, endedAt)
    }
  }
}
