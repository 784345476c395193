import { expect, test } from 'vitest'
import { TENANT } from './demo.ts'
import type { Scene } from './scene.ts'

/** Raw paths that some server reads as another path than it looks like. */
const TRICKS = [
  '/repos/%2e%2e/admin',
  '/repos/../admin',
  '/repos/7/..%2fadmin',
  '/repos/7%2f..%2f..%2fadmin',
  '/repos/..;/admin',
  '/repos/..;x=1/admin',
  '/repos/7%5c..%5cadmin',
  '/repos\\..\\admin',
  '//repos',
  '/repos//7',
  '/%72epos',
  '/repos/%2500',
  '/repos/7%00',
  '/repos/7/',
  '/REPOS',
  '/repos;/7',
]

/** Headers and paths that try to pass for something else. */
export function forgeries(scene: () => Scene): void {
  test.each(['X-Warder-User', 'X-Warder-Agent', 'X-Warder-Tenant', 'X-Warder-Subject'])(
    'a forged %s denies, even one that agrees with the token',
    async (header) => {
      const value = { 'X-Warder-User': 'alice', 'X-Warder-Agent': 'triage-bot' }[header] ?? TENANT
      const answer = await scene().ask('triage-bot', 'alice', {
        path: '/repos',
        headers: { [header]: value },
      })
      expect(answer.status).toBe(403)
      // A gateway may tell of the attempt under a name in which nobody is believed.
      expect(answer.body).toMatch(/identity\.forged_header|request\.header_conflict/)
      expect(scene().upstream.received).toEqual([])
    },
  )

  test.each([
    'X-Warder-Reason',
    'X-Warder-Obligations',
    'X-Warder-Authorization',
    'X-Warder-Gateway-Key',
    'X-Decision-Id',
    'X-Warder-Anything',
    'x_warder_user',
  ])('a forged %s never reaches the API', async (header) => {
    const headers = { [header]: 'forged-value' }
    await scene().ask('triage-bot', 'alice', { path: '/repos', headers })
    expect(JSON.stringify(scene().upstream.received)).not.toContain('forged-value')
  })

  test('headers that name another call change nothing', async () => {
    const headers = {
      'x-forwarded-method': 'GET',
      'x-forwarded-uri': '/repos',
      'x-original-method': 'GET',
      'x-original-uri': '/repos',
      'x-original-url': 'http://localhost/repos',
      'x-envoy-original-path': '/repos',
    }
    const call = { method: 'DELETE', path: '/repos/7', headers }
    expect((await scene().ask('triage-bot', 'alice', call)).status).toBe(403)
    expect(scene().upstream.received).toEqual([])
  })

  test.each(TRICKS)('the path %s is never an allow for something else', async (path) => {
    const answer = await scene().ask('triage-bot', 'alice', { path })
    // A gateway may spell the path plainly; then this spelling is what was decided on and what the API gets.
    const reached = scene().upstream.received.map(({ url }) => url)
    expect(reached).toEqual(answer.status === 200 ? ['/repos'] : [])
  })
}
