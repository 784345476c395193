import { beforeAll, describe, expect, test } from 'vitest'
import { type Carrier, carriersOf, compact, honest, type Pair, segment } from '../support/carriers.ts'
import { expectDenied, pairFor } from '../support/forgeries.ts'

/** A good JWS with everything that a case may want to change. */
interface Good {
  readonly pair: Pair
  readonly carrier: Carrier
  readonly text: string
  readonly parts: readonly [string, string, string]
  /** Signs these texts as header and payload. */
  sign(header: string | object, payload: string | object): string
}

type Case = readonly [string, (good: Good) => string]

let goods: readonly Good[]
beforeAll(async () => {
  const pair = pairFor('ES256')
  const sign: Good['sign'] = (header, payload) => compact(header, payload, honest(pair))
  goods = (await carriersOf(pair)).map((carrier) => {
    const text = sign(carrier.header, carrier.payload)
    const [head = '', payload = '', signature = ''] = text.split('.')
    return { pair, carrier, text, parts: [head, payload, signature], sign }
  })
})

test('what the cases are made from is accepted', async () => {
  for (const { carrier, text } of goods)
    expect(await carrier.ask(text), carrier.name).toMatchObject({ ok: true })
})

/** The same bytes in another spelling: unused bits of the last character. */
function twin(text: string): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  return text.slice(0, -1) + (alphabet[alphabet.indexOf(text.at(-1) ?? '') ^ 1] ?? '')
}

const SPELLINGS: readonly Case[] = [
  ['padding at its end', ({ text }) => `${text}==`],
  ['padding after its header', ({ parts: [head, payload, tail] }) => `${head}=.${payload}.${tail}`],
  ['padding after its payload', ({ parts: [head, payload, tail] }) => `${head}.${payload}==.${tail}`],
  ['padding that is escaped', ({ text }) => `${text}%3D%3D`],
  ['a blank before it', ({ text }) => ` ${text}`],
  ['a blank after it', ({ text }) => `${text} `],
  ['a line end after it', ({ text }) => `${text}\n`],
  ['a line end inside', ({ parts }) => parts.join('.\n')],
  ['a tab inside', ({ parts: [head, payload, tail] }) => `${head}\t.${payload}.${tail}`],
  ['a zero byte after it', ({ text }) => `${text}\u0000`],
  ['a zero byte inside', ({ parts }) => parts.join('\u0000.')],
  ['a blank that is no ASCII', ({ text }) => `${text}\u00a0`],
  [
    'another spelling of its signature',
    ({ parts: [head, payload, tail] }) => `${head}.${payload}.${twin(tail)}`,
  ],
  [
    'the other alphabet of base64',
    ({ parts: [head, payload, tail] }) => `${head}.${payload}.${tail.slice(0, -2)}+/`,
  ],
  ['no signature', ({ parts: [head, payload] }) => `${head}.${payload}`],
  ['an empty signature', ({ parts: [head, payload] }) => `${head}.${payload}.`],
  ['no header', ({ parts: [, payload, tail] }) => `.${payload}.${tail}`],
  ['no payload, as if it were detached', ({ parts: [head, , tail] }) => `${head}..${tail}`],
  ['a fourth part', ({ text, parts: [, , tail] }) => `${text}.${tail}`],
  ['five parts, as if it were encrypted', ({ text }) => `${text}.AAAA.AAAA`],
  ['itself behind a comma', ({ text }) => `${text},${text}`],
  ['a scheme before it', ({ text }) => `Bearer ${text}`],
  ['quotes around it', ({ text }) => `"${text}"`],
  ['nothing at all', () => ''],
]

const SERIALISED: readonly Case[] = [
  [
    'a flattened JSON serialisation',
    ({ parts: [head, payload, signature] }) => JSON.stringify({ protected: head, payload, signature }),
  ],
  [
    'a general JSON serialisation',
    ({ parts: [head, payload, signature] }) =>
      JSON.stringify({ payload, signatures: [{ protected: head, signature }] }),
  ],
  [
    'a JSON serialisation with an unprotected header',
    ({ parts: [head, payload, signature] }) =>
      JSON.stringify({ protected: head, header: { kid: 'k' }, payload, signature }),
  ],
  [
    'a JSON serialisation in base64url',
    ({ parts: [head, payload, signature] }) => segment({ protected: head, payload, signature }),
  ],
  ['a JWS as its payload', ({ carrier, text, sign }) => sign({ ...carrier.header, cty: 'JWT' }, text)],
  ['a JWS in quotes as its payload', ({ carrier, text, sign }) => sign(carrier.header, JSON.stringify(text))],
]

const MEMBERS: { readonly [member: string]: unknown } = {
  crit: [],
  'crit ': ['exp'],
  b64: false,
  zip: 'DEF',
  jku: 'https://evil.example/keys',
  x5u: 'https://evil.example/cert',
  x5c: ['MIIB'],
  url: 'https://api.example.com',
  nonce: 'n',
  epk: {},
  p2c: 1_000_000_000,
  __proto__x: {},
}

const HEADERS: readonly Case[] = [
  ...Object.entries(MEMBERS).map(
    ([name, value]): Case => [
      `\`${name}\` in its header`,
      ({ carrier, sign }) => sign({ ...carrier.header, [name]: value }, carrier.payload),
    ],
  ),
  [
    'an unknown extension that is critical',
    ({ carrier, sign }) => sign({ ...carrier.header, crit: ['x-own'], 'x-own': 1 }, carrier.payload),
  ],
  [
    'an unencoded payload that is critical',
    ({ carrier, sign }) => sign({ ...carrier.header, crit: ['b64'], b64: false }, carrier.payload),
  ],
  ['another type', ({ carrier, sign }) => sign({ ...carrier.header, typ: 'logout+jwt' }, carrier.payload)],
  [
    'an `alg` that is a list',
    ({ carrier, sign }) => sign({ ...carrier.header, alg: ['ES256'] }, carrier.payload),
  ],
  [
    'an `alg` that is an object',
    ({ carrier, sign }) => sign({ ...carrier.header, alg: { toString: 'ES256' } }, carrier.payload),
  ],
  ['an `alg` that is null', ({ carrier, sign }) => sign({ ...carrier.header, alg: null }, carrier.payload)],
  ['no `alg`', ({ carrier, sign }) => sign({ ...carrier.header, alg: undefined }, carrier.payload)],
  [
    'a `typ` that is a list',
    ({ carrier, sign }) => sign({ ...carrier.header, typ: ['at+jwt'] }, carrier.payload),
  ],
  ['a second `alg`', ({ carrier, sign }) => sign(doubled(carrier.header, '"alg":"none"'), carrier.payload)],
  [
    'a second `alg` in disguise',
    ({ carrier, sign }) => sign(doubled(carrier.header, '"\\u0061lg":"none"'), carrier.payload),
  ],
  ['a header that is a list', ({ carrier, sign }) => sign('[]', carrier.payload)],
  [
    'a header with something behind it',
    ({ carrier, sign }) => sign(`${JSON.stringify(carrier.header)}{}`, carrier.payload),
  ],
]

/** The text of an object with a first member that is there a second time. */
const doubled = (members: object, first: string) => `{${first},${JSON.stringify(members).slice(1)}`

const KIDS = [
  '../../../../dev/null',
  '/etc/passwd',
  'file:///dev/null',
  "k' UNION SELECT 'AAAA' --",
  "' OR '1'='1",
  '$(id)',
  '| whoami',
  'https://evil.example/keys#k',
  '__proto__',
  'constructor',
  'K',
  'k ',
  'k\u0000',
  'k'.repeat(257),
]

const IDS: readonly Case[] = KIDS.map((kid) => [
  `the key id ${JSON.stringify(kid.slice(0, 40))}`,
  ({ carrier, sign }) => sign({ ...carrier.header, kid }, carrier.payload),
])

const PAYLOADS: readonly Case[] = [
  [
    'a claim twice',
    ({ carrier, sign }) => sign(carrier.header, doubled(carrier.payload, '"exp":9999999999,"exp":1')),
  ],
  [
    'a claim twice in disguise',
    ({ carrier, sign }) => sign(carrier.header, doubled(carrier.payload, '"x":1,"\\u0078":2')),
  ],
  [
    'a member `__proto__`',
    ({ carrier, sign }) => sign(carrier.header, doubled(carrier.payload, '"__proto__":{"a":1}')),
  ],
  [
    'a claim twice far inside',
    ({ carrier, sign }) => sign(carrier.header, doubled(carrier.payload, '"x":[{"a":1,"a":2}]')),
  ],
  [
    'too deep a claim',
    ({ carrier, sign }) =>
      sign(carrier.header, doubled(carrier.payload, `"x":${'['.repeat(64)}${']'.repeat(64)}`)),
  ],
  ['a list as payload', ({ carrier, sign }) => sign(carrier.header, '[]')],
  ['null as payload', ({ carrier, sign }) => sign(carrier.header, 'null')],
  ['text as payload', ({ carrier, sign }) => sign(carrier.header, 'hello')],
  ['an empty payload', ({ carrier, sign }) => sign(carrier.header, '')],
  [
    'a byte order mark',
    ({ carrier, sign }) => sign(carrier.header, `\ufeff${JSON.stringify(carrier.payload)}`),
  ],
  ['a comment', ({ carrier, sign }) => sign(carrier.header, `${JSON.stringify(carrier.payload)}//`)],
]

describe.each([
  ['in its spelling', SPELLINGS],
  ['in its serialisation', SERIALISED],
  ['in its header', HEADERS],
  ['in its key id', IDS],
  ['in its payload', PAYLOADS],
])('a signed text that is odd %s', (_where, cases) => {
  test.each(cases)('denies: %s', async (_what, make) => {
    for (const good of goods) await expectDenied(good.carrier, make(good), good.carrier.name)
  })
})

/** Dates as JSON numbers that are none for us: beyond the year 9999, not finite, before 1970, or no numbers. */
const DATES = [
  '1e400',
  '-1e400',
  '1e308',
  '253402300800',
  '-1',
  '"1800000000"',
  'null',
  '[1800000000]',
  '{}',
  'true',
]
/** When a good text ends or was made, by its carrier. */
const DATE_CLAIMS: { readonly [carrier: string]: string } = {
  'an access token': 'exp',
  'a DPoP proof': 'iat',
  'a workload proof': 'exp',
  'a workload token': 'exp',
  'a transaction token': 'exp',
}

test.each(DATES)('a date that is %s denies', async (date) => {
  for (const { carrier, sign } of goods) {
    const claim = DATE_CLAIMS[carrier.name] ?? ''
    const { [claim]: _, ...rest } = Object.fromEntries(Object.entries(carrier.payload))
    const outcome = await carrier.ask(sign(carrier.header, doubled(rest, `"${claim}":${date}`)))
    expect(outcome.ok, carrier.name).toBe(false)
  }
})

test.each(['1e400', '253402300800', '4000000000'])('a `nbf` that is %s denies', async (date) => {
  for (const { carrier, sign } of goods) {
    const outcome = await carrier.ask(sign(carrier.header, doubled(carrier.payload, `"nbf":${date}`)))
    expect(outcome.ok, carrier.name).toBe(false)
  }
})
