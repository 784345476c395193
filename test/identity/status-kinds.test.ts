import { createHash, randomUUID } from 'node:crypto'
import { deflateSync } from 'node:zlib'
import { SignJWT } from 'jose'
import { beforeAll, describe, expect, test } from 'vitest'
import { guardStatus } from '#guards/revoked.ts'
import { createKeySets } from '#identity/key-sets.ts'
import { createStatusLists } from '#identity/status-lists.ts'
import type { EpochMilliseconds } from '#lib/clock.ts'
import type { VerifiedIdentity } from '#model/identity.ts'
import type { Issuer } from '#model/issuer.ts'
import type { Proofs } from '#model/request.ts'
import { dependenciesOf } from '#revocation/dependencies.ts'
import { CALL, gatewayWith, HTU, type ProofKey, proofKey, proofsWith, verifier } from '../support/proofs.ts'
import {
  claims,
  ISSUER,
  issuer,
  makeKey,
  NOW_SECONDS,
  request,
  type SigningKey,
  sign,
  tenantWith,
} from '../support/tokens.ts'

const DOMAIN = 'spiffe://acme.example'
const SERVICE = 'https://tts.acme.example'
const WORKLOAD = `${DOMAIN}/agents/triage`
const clock = () => (NOW_SECONDS * 1000) as EpochMilliseconds

let access: SigningKey
let domain: SigningKey
let service: SigningKey
let workload: ProofKey
beforeAll(async () => {
  access = await makeKey('ES256', 'k1')
  domain = await makeKey('ES256', 'd1')
  service = await makeKey('ES256', 't1')
  workload = await proofKey()
})

/** Who issues what, each with status lists of its own. */
function issuers(): readonly Issuer[] {
  const spiffe: Partial<Issuer> = {
    issuer: DOMAIN,
    profile: 'spiffe',
    types: ['', 'jwt', 'jose'],
    keys: { kind: 'static', keys: [{ ...domain.jwk, use: 'jwt-svid' }] },
    claims: { tenant: undefined, agent: 'sub', user: 'user' },
  }
  const txn: Partial<Issuer> = {
    issuer: SERVICE,
    profile: 'txn-token',
    audience: ['acme.example'],
    types: ['txntoken+jwt'],
  }
  return [
    issuer([access], { statusLists: ['https://idp.example/lists/'] }),
    issuer([domain], { ...spiffe, statusLists: ['https://spire.example/lists/'] }),
    issuer([service], { ...txn, statusLists: ['https://tts.example/lists/'] }),
  ]
}

const digest = (text: string) => createHash('sha256').update(text).digest('base64url')

async function signed(key: SigningKey, typ: string, payload: object): Promise<string> {
  return await new SignJWT({ ...payload })
    .setProtectedHeader({ alg: key.alg, kid: key.kid, typ })
    .sign(key.privateKey)
}

interface Sent {
  readonly bearer?: string
  readonly proofs?: Partial<Proofs>
}

/** What is sent of each kind, with this claim `status`. */
const KINDS: { readonly [kind: string]: { readonly lists: string; send(status: object): Promise<Sent> } } = {
  'access token': {
    lists: 'https://idp.example/lists/',
    send: async (status) => ({ bearer: await sign(access, claims({ status })) }),
  },
  'JWT-SVID': {
    lists: 'https://spire.example/lists/',
    send: async (status) => {
      const { aud } = claims()
      const payload = { sub: WORKLOAD, aud, iat: NOW_SECONDS, exp: NOW_SECONDS + 300, status }
      return { bearer: await signed(domain, 'JWT', payload) }
    },
  },
  'workload identity token': {
    lists: 'https://spire.example/lists/',
    send: async (status) => {
      const cnf = { jwk: { ...workload.jwk, alg: 'ES256' } }
      const payload = { sub: WORKLOAD, exp: NOW_SECONDS + 600, jti: 'wit-1', cnf, status }
      const wit = await signed(domain, 'wit+jwt', payload)
      const own = { aud: HTU, exp: NOW_SECONDS + 60, jti: randomUUID(), wth: digest(wit) }
      const proof = await new SignJWT(own)
        .setProtectedHeader({ alg: 'ES256', typ: 'wpt+jwt' })
        .sign(workload.privateKey)
      return { proofs: { workloadToken: [wit], workloadProof: [proof] } }
    },
  },
  'transaction token': {
    lists: 'https://tts.example/lists/',
    send: async (status) => {
      const dates = { iat: NOW_SECONDS - 10, exp: NOW_SECONDS + 60 }
      const facts = { aud: 'acme.example', txn: 'txn-1', sub: 'x', scope: 'trade', req_wl: 'gw' }
      const token = await signed(service, 'txntoken+jwt', { ...facts, ...dates, status })
      return { bearer: await sign(access, claims()), proofs: { transactionToken: [token] } }
    },
  },
}

async function verified({ bearer, proofs }: Sent) {
  const asked = request({
    dialect: 'envoy-http',
    route: CALL,
    credentials: bearer === undefined ? [] : [{ scheme: 'bearer', value: bearer }],
    proofs: proofsWith(proofs),
  })
  const outcome = await verifier()(asked, gatewayWith(), tenantWith(issuers()))
  return { asked, outcome }
}

async function identityOf(sent: Sent): Promise<VerifiedIdentity> {
  const { outcome } = await verified(sent)
  if (!outcome.ok) throw new Error(outcome.failure.detail)
  return outcome.value
}

const tokensOf = (identity: VerifiedIdentity) => [
  identity.token,
  identity.workloadToken,
  identity.transaction,
]

/** Lists whose first token is valid, the second invalid, the third suspended; `signer` signs every one. */
function listsBy(signer: SigningKey) {
  const fetch = () => Promise.reject(new Error('no network'))
  return createStatusLists({
    send: async ({ url }) => {
      const list = { bits: 2, lst: deflateSync(Buffer.from([0b100100])).toString('base64url') }
      const payload = { sub: url, iat: NOW_SECONDS - 5, exp: NOW_SECONDS + 600, status_list: list }
      return { status: 200, contentType: '', body: await signed(signer, 'statuslist+jwt', payload) }
    },
    keys: createKeySets({ clock, fetch, onFault: () => undefined }),
    clock,
    onFault: () => undefined,
  })
}

describe.each(Object.entries(KINDS))('a call with an %s', (kind, { lists: at, send }) => {
  const signer = () => (at.includes('idp') ? access : at.includes('spire') ? domain : service)
  const placed = (idx: number, uri = `${at}1`) => send({ status_list: { idx, uri } })

  test.each([
    [0, undefined],
    [1, 'revoked.authority'],
    [2, 'revoked.authority'],
    [99, 'revoked.status_unknown'],
  ])('that its list has at index %i ends with %s', async (index, code) => {
    const identity = await identityOf(await placed(index))
    const lists = listsBy(signer())
    const tenant = tenantWith(issuers())
    expect(guardStatus(tokensOf(identity), lists, tenant, clock())?.code).toBe('revoked.status_unknown')
    await lists.refresh()
    expect(guardStatus(tokensOf(identity), lists, tenant, clock())?.code).toBe(code)
  })

  test.each([
    ['a list that somebody else has signed', `1`, () => (signer() === access ? domain : access)],
    ['a list outside the URLs of its issuer', `../../elsewhere`, signer],
  ])('that points to %s denies', async (_what, path, by) => {
    const identity = await identityOf(await placed(0, `${at}${path}`))
    const lists = listsBy(by())
    const ask = () => guardStatus(tokensOf(identity), lists, tenantWith(issuers()), clock())?.code
    ask()
    await lists.refresh()
    expect(ask()).toBe('revoked.status_unknown')
  })

  test('whose `status` can not be read denies', async () => {
    const { outcome } = await verified(await send({ status_list: { idx: -1, uri: `${at}1` } }))
    expect(outcome.ok || outcome.failure.detail).toMatch('`status.status_list` has no `idx` and `uri`')
  })

  test(`whose ${kind} has no status is not asked about`, async () => {
    const identity = await identityOf(await send({ other: {} }))
    expect(guardStatus(tokensOf(identity), undefined, tenantWith(issuers()), clock())).toBeUndefined()
  })
})

test('of two tokens the one that is revoked decides, not the one that nobody knows', async () => {
  const at = (index: number, uri: string) => ({ issuer: ISSUER, status: { index, uri } })
  const tokens = [at(0, 'https://idp.example/unknown'), at(1, 'https://idp.example/lists/1')]
  const lists = listsBy(access)
  const tenant = tenantWith(issuers())
  guardStatus(tokens, lists, tenant, clock())
  await lists.refresh()
  expect(guardStatus(tokens, lists, tenant, clock())?.code).toBe('revoked.authority')
})

test('a workload token can be revoked by its id, its key and its trust domain', async () => {
  const kind = KINDS['workload identity token']
  const { asked, outcome } = await verified((await kind?.send({ other: {} })) ?? {})
  if (!outcome.ok) throw new Error(outcome.failure.detail)
  const found = dependenciesOf(outcome.value, asked, tenantWith(issuers()))
  expect(found).toEqual(
    expect.arrayContaining([
      { kind: 'token', id: `${DOMAIN}|wit-1` },
      { kind: 'key', id: `${DOMAIN}|d1` },
      { kind: 'issuer', id: DOMAIN },
      { kind: 'client', id: WORKLOAD },
    ]),
  )
})
