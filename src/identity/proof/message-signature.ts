import { hash, KeyObject } from 'node:crypto'
import type { KeySets } from '#identity/key-sets.ts'
import { stop } from '#identity/stop.ts'
import { type EpochMilliseconds, type EpochSeconds, toSeconds } from '#lib/clock.ts'
import { failed, type Result, success } from '#lib/result.ts'
import type { Gateway } from '#model/gateway.ts'
import type { Stop } from '#model/identity.ts'
import type { AuthorizationRequest } from '#model/request.ts'
import type { TenantState } from '#model/state.ts'
import type { Once } from './possession.ts'
import type { PublicKey, PublicKeys } from './public-keys.ts'
import {
  type Fields,
  fieldOf,
  type MessageSignature,
  parseSignature,
  signatureBase,
} from './signature-base.ts'
import { targetUris } from './target-uri.ts'

/** A registered key that signed a call. */
export interface Signer {
  /** RFC 7638 SHA-256, base64url. */
  readonly thumbprint: string
  /** Under whose name it is registered. */
  readonly issuer: string
  readonly once: Once
}

/** Whose signature is asked for. */
export interface SignatureAsked {
  readonly request: AuthorizationRequest
  readonly gateway: Gateway
  readonly tenant: TenantState
}

/** How old a signature may be, how far ahead of our clock, and how long it may say that it lives; in seconds. */
const AGE_SECONDS_MAX = 60
const AHEAD_SECONDS_MAX = 5
const LIFE_SECONDS_MAX = 300
/** Longer than a signature is accepted, so that servers whose clocks differ agree. */
const REMEMBER_SECONDS = AGE_SECONDS_MAX + 120
/** RFC 9421 section 6.2, without those that sign with RSASSA-PKCS1-v1_5 or a shared secret. */
const ALGORITHMS: ReadonlyMap<string, readonly string[]> = new Map([
  ['ecdsa-p256-sha256', ['ES256']],
  ['ecdsa-p384-sha384', ['ES384']],
  ['ed25519', ['EdDSA', 'Ed25519']],
  ['rsa-pss-sha512', ['PS512']],
])
const DIGEST = /^\s*(sha-256|sha-512)=:([A-Za-z0-9+/]+={0,2}):\s*$/

/**
 * Who signed the call; undefined when it carries no signature. Keys are those of issuers of profile `http-signature`, with their
 * thumbprint as `kid`; the `tag` must be one of their audience.
 *
 * INVARIANT: a signature that does not hold denies. One that does names nobody: it proves a key, which counts for a token that is
 * bound to it.
 * @see RFC 9421 section 3.2
 */
export async function verifyMessageSignature(
  asked: SignatureAsked,
  keys: KeySets,
  publicKeys: PublicKeys,
): Promise<Result<Signer | undefined, Stop>> {
  const { request, gateway } = asked
  const fields = request.proofs?.signedHeaders ?? []
  if (!fields.some(([name]) => name === 'signature' || name === 'signature-input')) return success(undefined)
  const signature = parseSignature(fields)
  if (signature === undefined) return refused('not one canonical signature with all its parameters')
  const call = request.route ?? request.proofs?.call
  const uris = targetUris(gateway.settings, call)
  if (!uris.ok) return uris
  const query = call?.query ?? ''
  const objection =
    objectionToTime(signature, toSeconds(request.now)) ??
    objectionToCoverage(signature, query) ??
    objectionToFields(signature, request, fields)
  if (objection !== undefined) return refused(objection)
  const key = await findKey(signature, asked.tenant, keys, publicKeys)
  if (key === undefined) return refused('no key with this `keyid` is registered for this `tag`')
  const holds = uris.value.some((uri) => {
    const base = signatureBase(signature, { method: call?.method ?? '', uri, query, fields })
    return base !== undefined && key.verifies(base)
  })
  return holds
    ? success({ thumbprint: signature.keyId, issuer: key.issuer, once: onceOf(signature) })
    : refused('it does not verify')
}

function objectionToTime({ created, expires }: MessageSignature, now: EpochSeconds): string | undefined {
  if (created < now - AGE_SECONDS_MAX || created > now + AHEAD_SECONDS_MAX) return '`created`'
  return expires > now && expires <= created + LIFE_SECONDS_MAX ? undefined : '`expires`'
}

/** INVARIANT: method, host, path and query are signed, so that a signature is for one call only. */
function objectionToCoverage({ components }: MessageSignature, query: string): string | undefined {
  const covers = (name: string) => components.includes(name)
  if (!covers('@method')) return '`@method` is not covered'
  const coversPath = covers('@request-target') || (covers('@path') && (query === '' || covers('@query')))
  return covers('@target-uri') || (covers('@authority') && coversPath)
    ? undefined
    : 'neither `@target-uri` nor `@authority` with the path is covered'
}

/** INVARIANT: every token that is used, and the body that is seen, is what was signed. */
function objectionToFields(
  { components }: MessageSignature,
  request: AuthorizationRequest,
  fields: Fields,
): string | undefined {
  if (!isCredentialOf(request, fieldOf(fields, 'authorization'), components))
    return '`authorization` is not covered'
  const { proofs, original } = request
  const tokens = [
    ['txn-token', proofs?.transactionToken],
    ['workload-identity-token', proofs?.workloadToken],
  ] as const
  for (const [name, texts = []] of tokens) {
    const isCovered = components.includes(name) && fieldOf(fields, name) === texts.join(', ')
    if (texts.length > 0 && !isCovered) return `\`${name}\` is not covered`
  }
  return objectionToBody(original?.body, components, fields)
}

/** A JSON body names the credential apart from the headers that were signed: both must say the same. */
function isCredentialOf(
  { credentials: [credential] }: AuthorizationRequest,
  authorization: string | undefined,
  components: readonly string[],
): boolean {
  if (credential === undefined && authorization === undefined) return true
  const [, scheme = '', value] = /^(\S+) +(\S.*)$/.exec(authorization ?? '') ?? []
  const isUsed = scheme.toLowerCase() === credential?.scheme && value === credential.value
  return isUsed && components.includes('authorization')
}

function objectionToBody(
  body: Uint8Array | undefined,
  components: readonly string[],
  fields: Fields,
): string | undefined {
  const isCovered = components.includes('content-digest')
  if (body === undefined || (body.length === 0 && !isCovered)) return undefined
  if (!isCovered) return '`content-digest` is not covered'
  return isDigestOf(fieldOf(fields, 'content-digest') ?? '', body) ? undefined : '`content-digest` is another'
}

/** RFC 9530 section 2; every digest that is given must be that of the body. */
function isDigestOf(field: string, body: Uint8Array): boolean {
  return field.split(',').every((each) => {
    const [, algorithm, text] = DIGEST.exec(each) ?? []
    return algorithm !== undefined && hash(algorithm.replace('-', ''), body, 'base64') === text
  })
}

/** INVARIANT: the key is looked up by its thumbprint and has it; an id that somebody else chose names no key. */
async function findKey(
  { keyId, tag, algorithm, signature }: MessageSignature,
  tenant: TenantState,
  keys: KeySets,
  publicKeys: PublicKeys,
): Promise<{ readonly issuer: string; verifies(base: string): boolean } | undefined> {
  const wanted = algorithm === undefined ? [...ALGORITHMS.values()].flat() : (ALGORITHMS.get(algorithm) ?? [])
  for (const issuer of tenant.issuers) {
    if (issuer.profile !== 'http-signature' || !issuer.audience.includes(tag)) continue
    const current = await keys.load(tenant.id, issuer)
    for (const alg of wanted.filter((each) => issuer.algorithms.includes(each))) {
      const found = await current?.set.find(keyId, alg)
      const key: PublicKey | undefined = found && publicKeys.find({ ...jwkOf(KeyObject.from(found)) })
      if (key?.thumbprint === keyId)
        return { issuer: issuer.issuer, verifies: (base) => key.verifies(alg, base, signature) }
    }
  }
  return undefined
}

function jwkOf(key: KeyObject): { readonly [member: string]: string } {
  const members = Object.entries(key.export({ format: 'jwk' }))
  return Object.fromEntries(
    members.filter((member): member is [string, string] => typeof member[1] === 'string'),
  )
}

function onceOf({ keyId, nonce, created }: MessageSignature): Once {
  return {
    key: hash('sha256', `http-signature|${keyId}|${nonce}`, 'hex'),
    question: undefined,
    issuedAt: created,
    expiresAt: ((created + REMEMBER_SECONDS) * 1000) as EpochMilliseconds,
  }
}

function refused(detail: string): { readonly ok: false; readonly failure: Stop } {
  return failed(stop('signature.invalid', detail))
}
