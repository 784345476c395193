import { expect, test } from 'vitest'
import type { Scene } from './scene.ts'

/** Tokens that must not pass. */
export function credentials(scene: () => Scene): void {
  const now = () => Math.floor(Date.now() / 1000)
  const bad: readonly (readonly [string, string, object])[] = [
    ['an expired token', 'token.expired', { iat: now() - 900, exp: now() - 600 }],
    ['a token for another audience', 'token.audience', { aud: 'https://other.example' }],
    ['a token of another tenant', 'token.tenant', { tenant: 'other' }],
    ['a token of an unknown issuer', 'token.issuer_unknown', { iss: 'https://other.example' }],
  ]
  test.each(bad)('%s is 401 with %s', async (_what, reason, claims) => {
    const token = await scene().issuer.token('triage-bot', 'alice', { ...claims })
    const headers = { authorization: `Bearer ${token}` }
    const answer = await scene().send({ path: '/repos', headers })
    expect(answer.status).toBe(401)
    expect(answer.body).toContain(reason)
    expect(answer.headers['www-authenticate']).toMatch(/^Bearer .*error="invalid_token"/)
    expect(answer.headers['x-decision-id']).toBeDefined()
    expect(scene().upstream.received).toEqual([])
  })

  test('a call without a token is 401', async () => {
    const answer = await scene().send({ path: '/repos' })
    expect(answer.status).toBe(401)
    expect(answer.body).toContain('credentials.missing')
    expect(answer.headers['www-authenticate']).toMatch(/^Bearer/)
    expect(scene().upstream.received).toEqual([])
  })

  test('a token whose signature was changed is 401', async () => {
    const token = await scene().issuer.token('triage-bot', 'alice')
    const [head, payload, signature = ''] = token.split('.')
    const changed = `${head}.${payload}.${signature.startsWith('A') ? 'B' : 'A'}${signature.slice(1)}`
    const answer = await scene().send({ path: '/repos', headers: { authorization: `Bearer ${changed}` } })
    expect(answer.status).toBe(401)
    expect(answer.body).toContain('token.signature')
  })

  test('two Authorization headers are never an allow', async () => {
    const mine = `Bearer ${await scene().issuer.token('triage-bot', 'alice')}`
    const other = `Bearer ${await scene().issuer.token('release-bot', 'alice')}`
    const answer = await scene().send({ path: '/repos', headers: { Authorization: [mine, other] } })
    expect(answer.status).toBeGreaterThanOrEqual(400)
    expect(scene().upstream.received).toEqual([])
  })
}
