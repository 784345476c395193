import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { hasSecret, isSensitiveName, withoutSecrets } from '#decision-log/secrets.ts'

/** What a JWT looks like, as a pattern; slow on text that a caller made for it. */
const JWT = /eyJ[\w-]{4,}\.[\w-]{4,}(?:\.[\w-]*)*/g

describe('secrets', () => {
  it('masks a JWT up to its end and nothing around it', () => {
    expect(withoutSecrets('see eyJhbGciOi.eyJzdWIi.c2ln, then')).toBe('see [masked], then')
    expect(withoutSecrets('id-1.eyJhbGciOi.eyJzdWIi.')).toBe('id-1.[masked]')
  })

  it.each(['wgk_', 'wat_', 'wak_', 'wrk_', 'wss_'])(
    'masks a credential of ours that begins with %s',
    (start) => {
      expect(withoutSecrets(`got ${start}${'a'.repeat(43)}.`)).toBe('got [masked].')
    },
  )

  it('finds the same JWTs as the pattern does', () => {
    const piece = fc.constantFrom('eyJ', 'a', 'abcd', '.', '-', '_', ' ', 'é', '\n')
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 24 }), (pieces) => {
        const text = `${pieces.join('')} padding`
        expect(hasSecret(text)).toBe(text.search(JWT) !== -1)
        expect(withoutSecrets(text)).toBe(text.replaceAll(JWT, '[masked]'))
      }),
    )
  })

  it('looks through a mebibyte of anything that could begin a credential in less than a second of work', () => {
    const starts = [
      'eyJ',
      'eyJ-',
      'eyJaaaa.',
      'eyJaaaa.b.',
      'bearer ',
      'Basic a',
      '-----BEGIN A ',
      'ghp_',
      'sk-live-',
    ]
    for (const start of [...starts, 'wgk_', 'AKIA', '.', '-----BEGIN PRIVATE KEY-----', '-----END A']) {
      const text = start.repeat(Math.ceil(1_048_576 / start.length))
      const before = process.cpuUsage()
      withoutSecrets(text)
      isSensitiveName(text, 1)
      expect(process.cpuUsage(before).user, start).toBeLessThan(1_000_000)
    }
  })
})
