import 'reflect-metadata'
import { hash, webcrypto, X509Certificate } from 'node:crypto'
import * as x509 from '@peculiar/x509'
import { beforeAll, describe, expect, test } from 'vitest'
import { createKeySets } from '#identity/key-sets.ts'
import { workloadOfSvid } from '#identity/workload/x509-svid.ts'
import type { EpochMilliseconds } from '#lib/clock.ts'
import { issuer, tenantWith } from '../../support/tokens.ts'

x509.cryptoProvider.set(webcrypto)
const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
const DAY = 86_400_000
const DOMAIN = 'spiffe://acme.example'
const ID = `${DOMAIN}/agents/triage`
/** Certificates are made on the real clock. */
const now = Date.now() as EpochMilliseconds
const { keyCertSign, digitalSignature } = x509.KeyUsageFlags

interface Made {
  readonly certificate: x509.X509Certificate
  readonly keys: webcrypto.CryptoKeyPair
}

interface Options {
  /** Undefined: a leaf. */
  readonly authority?: { readonly pathLength?: number } | undefined
  readonly usage?: number | undefined
  readonly more?: readonly x509.Extension[]
  readonly name?: string
  readonly uris?: readonly string[]
  readonly algorithm?: typeof ALGORITHM
  readonly keys?: webcrypto.CryptoKeyPair
}

let serial = 1
async function make(by: Made | undefined, options: Options = {}): Promise<Made> {
  const { authority, more = [], name = `CN=${serial}`, algorithm = ALGORITHM } = options
  const uris = options.uris ?? (authority === undefined ? [ID] : [])
  const keys = options.keys ?? (await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']))
  const usage = 'usage' in options ? options.usage : authority ? keyCertSign : digitalSignature
  serial += 1
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serial.toString(16).padStart(16, '0'),
    subject: name,
    issuer: by?.certificate.subject ?? name,
    notBefore: new Date(now - DAY),
    notAfter: new Date(now + DAY),
    signingAlgorithm: algorithm,
    publicKey: keys.publicKey,
    signingKey: (by?.keys ?? keys).privateKey,
    extensions: [
      ...(authority ? [new x509.BasicConstraintsExtension(true, authority.pathLength, true)] : []),
      ...(usage === undefined ? [] : [new x509.KeyUsagesExtension(usage, true)]),
      ...(uris.length === 0
        ? []
        : [new x509.SubjectAlternativeNameExtension(uris.map((value) => ({ type: 'url' as const, value })))]),
      ...more,
    ],
  })
  return { certificate, keys }
}

const nodeOf = ({ certificate }: Made) => new X509Certificate(Buffer.from(certificate.rawData))

const keys = createKeySets({
  fetch: () => Promise.reject(new Error('no network')),
  clock: () => now,
  onFault: () => undefined,
})

/** What a gateway's client proves that sends `leaf` with `between` (its issuer first) to a domain with the authority `anchor`. */
async function proven(anchor: Made, between: readonly Made[], leaf: Made) {
  const bundle = {
    ...issuer([]),
    issuer: DOMAIN,
    profile: 'spiffe' as const,
    keys: {
      kind: 'static' as const,
      keys: [{ kty: 'EC', use: 'x509-svid', x5c: [nodeOf(anchor).raw.toString('base64')] }],
    },
  }
  const sent = nodeOf(leaf)
  const thumbprint = hash('sha256', sent.raw, 'base64url')
  const certificate = { thumbprint, leaf: sent, chain: between.map(nodeOf) }
  const found = await workloadOfSvid(certificate, { tenant: tenantWith([bundle]), keys, now })
  return found.ok ? found.value : found.failure.code
}

const DENIED = 'workload.untrusted'
const CA = { authority: {} }

let root: Made
beforeAll(async () => {
  root = await make(undefined, CA)
})

/** DER of one element. */
function der(tag: number, ...contents: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(contents)
  return Buffer.concat([Buffer.from([tag, content.length]), content])
}

type Bases = readonly (readonly [tag: number, base: string | Uint8Array])[]
function nameConstraints(permitted: Bases, excluded: Bases = [], isCritical = true): x509.Extension {
  const list = (tag: number, bases: Bases) =>
    bases.length === 0
      ? Buffer.alloc(0)
      : der(tag, ...bases.map(([form, base]) => der(0x30, der(form, Buffer.from(base)))))
  return new x509.Extension('2.5.29.30', isCritical, der(0x30, list(0xa0, permitted), list(0xa1, excluded)))
}
const URI = 0x86

test('a path through two authorities holds', async () => {
  const upper = await make(root, CA)
  const lower = await make(upper, CA)
  expect(await proven(root, [lower, upper], await make(lower))).toBe(ID)
})

describe('the length of a path', () => {
  test.each([
    ['an authority that may have none below it', [0], 1, DENIED],
    ['one that may have one', [1], 1, ID],
    ['one that may have one, with two', [1], 2, DENIED],
    ['one that says nothing, above one that may have none', [undefined, 0], 1, ID],
    ['one that says nothing, above one that may have none, with two', [undefined, 0], 2, DENIED],
    ['one that may have many, above one that may have none, with two', [7, 0], 2, DENIED],
  ])('%s', async (_what, lengths, count, outcome) => {
    const optionsOf = (length: number | undefined): Options => ({
      authority: length === undefined ? {} : { pathLength: length },
    })
    const anchor = await make(undefined, optionsOf(lengths[0]))
    const between: Made[] = []
    for (let i = 1; i <= count; i++) between.unshift(await make(between[0] ?? anchor, optionsOf(lengths[i])))
    expect(await proven(anchor, between, await make(between[0]))).toBe(outcome)
  })

  test('an authority that issued for its own name counts too', async () => {
    const anchor = await make(undefined, { authority: { pathLength: 0 }, name: 'CN=same' })
    const again = await make(anchor, { ...CA, name: 'CN=same' })
    expect(await proven(anchor, [again], await make(again))).toBe(DENIED)
  })
})

describe('who may issue', () => {
  test.each<[string, Options]>([
    ['no basic constraints', { usage: keyCertSign }],
    ['a key that may not sign certificates', { ...CA, usage: digitalSignature }],
    ['no word on what its key may sign', { ...CA, usage: undefined }],
    [
      'another purpose than clients',
      { ...CA, more: [new x509.ExtendedKeyUsageExtension(['1.3.6.1.5.5.7.3.1'])] },
    ],
  ])('an authority on the way with %s issues nothing', async (_what, options) => {
    const between = await make(root, { uris: [], ...options })
    expect(await proven(root, [between], await make(between))).toBe(DENIED)
  })

  test('an authority for clients issues, and so does an anchor that leaves its key usage open', async () => {
    const anchor = await make(undefined, { ...CA, usage: undefined })
    const forClients = new x509.ExtendedKeyUsageExtension(['1.3.6.1.5.5.7.3.2'])
    const between = await make(anchor, { ...CA, more: [forClients] })
    expect(await proven(anchor, [between], await make(between))).toBe(ID)
  })

  test('a signature with SHA-1 counts for nothing', async () => {
    const sha1 = await make(root, { algorithm: { ...ALGORITHM, hash: 'SHA-1' } })
    expect(nodeOf(sha1).verify(nodeOf(root).publicKey)).toBe(true)
    expect(await proven(root, [], sha1)).toBe(DENIED)
  })
})

describe('a critical extension that is not known refuses', () => {
  const unknown = (isCritical: boolean) => new x509.Extension('1.3.6.1.4.1.55555.1', isCritical, der(0x05))
  const policyConstraints = new x509.Extension('2.5.29.36', true, der(0x30, der(0x80, Buffer.from([0]))))

  test.each<[string, (extension: x509.Extension) => Promise<string | undefined>]>([
    ['the leaf that has it', async (more) => proven(root, [], await make(root, { more: [more] }))],
    [
      'what an authority with it issued',
      async (more) => {
        const between = await make(root, { ...CA, more: [more] })
        return proven(root, [between], await make(between))
      },
    ],
    [
      'what an anchor with it issued',
      async (more) => {
        const anchor = await make(undefined, { ...CA, more: [more] })
        return proven(anchor, [], await make(anchor))
      },
    ],
  ])('%s', async (_what, outcomeWith) => {
    expect(await outcomeWith(unknown(true))).toBe(DENIED)
    expect(await outcomeWith(policyConstraints)).toBe(DENIED)
    expect(await outcomeWith(unknown(false))).toBe(ID)
  })

  test('an extension that is there twice refuses as well', async () => {
    expect(await proven(root, [], await make(root, { more: [unknown(false), unknown(false)] }))).toBe(DENIED)
  })

  test('an extension that can not be read refuses as well', async () => {
    const broken = new x509.Extension('2.5.29.30', false, der(0x30, der(0x42)))
    const between = await make(root, { ...CA, more: [broken] })
    expect(await proven(root, [between], await make(between))).toBe(DENIED)
  })
})

describe('name constraints of an authority', () => {
  test.each<[string, Bases, Bases, string]>([
    ['that permit the domain', [[URI, 'acme.example']], [], ID],
    ['that permit the domain, in capitals', [[URI, 'ACME.example']], [], ID],
    ['that permit what is below another', [[URI, '.example']], [], ID],
    ['that permit every host', [[URI, '']], [], ID],
    ['that permit another domain', [[URI, 'other.example']], [], DENIED],
    ['that permit what is below the domain', [[URI, '.acme.example']], [], DENIED],
    ['that permit a domain of which the name is the end', [[URI, 'cme.example']], [], DENIED],
    [
      'that permit one of two',
      [
        [URI, 'other.example'],
        [URI, 'acme.example'],
      ],
      [],
      ID,
    ],
    ['that exclude the domain', [], [[URI, 'acme.example']], DENIED],
    ['that exclude what is below another', [], [[URI, '.example']], DENIED],
    ['that exclude every host', [], [[URI, '']], DENIED],
    ['that exclude another domain', [], [[URI, 'other.example']], ID],
    ['that permit and exclude the domain', [[URI, '.example']], [[URI, 'acme.example']], DENIED],
    ['that exclude what is no host', [], [[URI, 'spiffe://acme.example']], DENIED],
    ['on names that the leaf has none of', [[0x82, 'acme.example']], [], ID],
    ['on the subject, which are not applied', [[0xa4, der(0x30)]], [], DENIED],
  ])('%s', async (_what, permitted, excluded, outcome) => {
    const more = [nameConstraints(permitted, excluded)]
    const between = await make(root, { ...CA, more })
    expect(await proven(root, [between], await make(between))).toBe(outcome)
    const anchor = await make(undefined, { ...CA, more })
    expect(await proven(anchor, [], await make(anchor))).toBe(outcome)
  })

  test('hold for what is issued further below, and are not widened there', async () => {
    const upper = await make(root, { ...CA, more: [nameConstraints([[URI, 'other.example']])] })
    const lower = await make(upper, { ...CA, more: [nameConstraints([[URI, 'acme.example']])] })
    expect(await proven(root, [lower, upper], await make(lower))).toBe(DENIED)
  })

  test('hold for the names of authorities below as well', async () => {
    const upper = await make(root, { ...CA, more: [nameConstraints([], [[URI, 'evil.example']])] })
    const lower = await make(upper, { ...CA, uris: ['https://evil.example/', 'https://acme.example/'] })
    expect(await proven(root, [lower, upper], await make(lower))).toBe(DENIED)
  })

  test('hold though they are not critical', async () => {
    const more = [nameConstraints([[URI, 'other.example']], [], false)]
    const between = await make(root, { ...CA, more })
    expect(await proven(root, [between], await make(between))).toBe(DENIED)
  })
})
