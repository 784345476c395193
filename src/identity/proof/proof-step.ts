import type { Result } from '#lib/result.ts'
import type { Stop } from '#model/identity.ts'
import { createReadCertificate, type ReadCertificate } from './certificate.ts'
import { createNonces } from './nonces.ts'
import { type Possession, type PossessionAsked, provePossession } from './possession.ts'
import { createPublicKeys, type PublicKeys } from './public-keys.ts'
import type { ReplayStore } from './replay.ts'
import { createReserveProof, type ReserveProof } from './reserve.ts'

/** The step that asks who presents a token: first what the proofs prove, and when all else holds, that they are new. */
export interface ProofStep {
  /** Keys and certificates, parsed once for all steps. */
  readonly publicKeys: PublicKeys
  readonly readCertificate: ReadCertificate
  prove(asked: PossessionAsked): Result<Possession, Stop>
  readonly reserve: ReserveProof
}

/** What the step needs from outside. */
export interface ProofStepParts {
  readonly replay: ReplayStore
  /** Secret of the nonces, 32 bytes, the same on all servers. */
  readonly nonceSecret: () => Uint8Array
  /** Told when the replay store could not be asked. */
  readonly onFault: (error: unknown) => void
}

/** The step over one replay store; keys and certificates are cached, proofs never. */
export function createProofStep({ replay, nonceSecret, onFault }: ProofStepParts): ProofStep {
  const parts = {
    keys: createPublicKeys(),
    readCertificate: createReadCertificate(),
    nonces: createNonces(nonceSecret),
  }
  return {
    publicKeys: parts.keys,
    readCertificate: parts.readCertificate,
    prove: (asked) => provePossession(asked, parts),
    reserve: createReserveProof(replay, onFault),
  }
}
