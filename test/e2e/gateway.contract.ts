import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { pushDemo, setAgentStatus, TENANT, textOf } from './demo.ts'
import type { StartGateway } from './gateway-process.ts'
import { send } from './http.ts'
import { until } from './ports.ts'
import { openScene, type Scene } from './scene.ts'

const ACT_WITHIN_MILLISECONDS = 1_000

const READING_IS_STRIPPED = `@id("reading-is-stripped")
@obligation("strip_authorization")
permit (principal is Warder::Agent, action == Warder::Action::"repos/read", resource);
`
const READING_IS_PAUSED = `@id("reading-is-paused")
@reason("Reading is paused.")
forbid (principal, action in Warder::Action::"readTools", resource);
`

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

/** What must hold behind every gateway, whatever it is. `name` is for the titles. */
export function gatewayContract(name: string, start: () => StartGateway): void {
  describe(name, () => {
    let scene: Scene
    let opened = false
    beforeAll(async () => {
      scene = await openScene(start())
      opened = true
    })
    afterAll(async () => {
      if (opened) await scene.close()
    })
    beforeEach(() => scene.upstream.forget())

    decisions(() => scene)
    obligations(() => scene)
    credentials(() => scene)
    forgeries(() => scene)
    changes(() => scene)
    outages(() => scene)
  })
}

function decisions(scene: () => Scene): void {
  test('an allowed call reaches the API and its answer comes back', async () => {
    const answer = await scene().ask('triage-bot', 'alice', { path: '/repos?page=2' })
    expect(answer).toMatchObject({ status: 200, body: '{"from":"api"}' })
    expect(scene().upstream.last()).toMatchObject({ method: 'GET', url: '/repos?page=2' })
    expect(scene().upstream.last().headers).toMatchObject({
      'x-warder-agent': 'triage-bot',
      'x-warder-user': 'alice',
      'x-warder-tenant': TENANT,
      'x-decision-id': answer.headers['x-decision-id'],
    })
  })

  test('a denied call gets 403 with reason and decision id and never reaches the API', async () => {
    const answer = await scene().ask('triage-bot', 'alice', { method: 'DELETE', path: '/repos/7' })
    expect(answer.status).toBe(403)
    expect(answer.body).toContain('policy.no_permit')
    expect(answer.headers['content-type']).toContain('application/json')
    expect(answer.headers['x-decision-id']).toMatch(/^[0-9a-f-]{36}$/)
    expect(scene().upstream.received).toEqual([])
  })

  test('what an agent may do depends on the agent and on its user', async () => {
    const remove = { method: 'DELETE', path: '/repos/7' }
    expect((await scene().ask('release-bot', 'alice', remove)).status).toBe(200)
    expect((await scene().ask('release-bot', 'bob', remove)).status).toBe(403)
    expect((await scene().ask('triage-bot', 'alice', remove)).status).toBe(403)
  })

  test('a call that is no registered tool is denied', async () => {
    const answer = await scene().ask('release-bot', 'alice', { path: '/admin' })
    expect(answer.status).toBe(403)
    expect(scene().upstream.received).toEqual([])
  })

  test('the decision log holds the row of every answer under its X-Decision-Id', async () => {
    const allowed = await scene().ask('triage-bot', 'alice', { path: '/repos' })
    const denied = await scene().ask('triage-bot', 'alice', { method: 'DELETE', path: '/repos/7' })
    const rows = await scene().warder.json('logs', 'query', '--tenant', TENANT, '--limit', '20')
    const usual = { tenant: TENANT, agent: 'triage-bot', user: 'alice', gateway: 'edge' }
    expect(rows).toContainEqual(
      expect.objectContaining({
        ...usual,
        decision_id: allowed.headers['x-decision-id'],
        decision: 'allow',
        tool: 'repos/list',
      }),
    )
    expect(rows).toContainEqual(
      expect.objectContaining({
        ...usual,
        decision_id: denied.headers['x-decision-id'],
        decision: 'deny',
        reason: 'policy.no_permit',
        tool: 'repos/delete',
      }),
    )
    const id = denied.headers['x-decision-id'] ?? ''
    expect(await scene().warder.json('logs', 'show', id)).toMatchObject({ decision_id: id, decision: 'deny' })
  })
}

function obligations(scene: () => Scene): void {
  test('set_header arrives at the API and replaces what the client sent', async () => {
    const headers = { 'x-agent-purpose': 'forged' }
    expect((await scene().ask('triage-bot', 'alice', { path: '/repos/7', headers })).status).toBe(200)
    expect(scene().upstream.last().headers['x-agent-purpose']).toBe('agent-read')
  })

  test('a header that only policies set never comes from the client', async () => {
    const headers = { 'x-agent-purpose': 'forged' }
    expect((await scene().ask('triage-bot', 'alice', { path: '/repos', headers })).status).toBe(200)
    expect(scene().upstream.last().headers['x-agent-purpose']).toBeUndefined()
  })

  test('the token reaches the API until strip_authorization keeps it away', async () => {
    await scene().ask('triage-bot', 'alice', { path: '/repos/7' })
    expect(scene().upstream.last().headers['authorization']).toMatch(/^Bearer ey/)
    await pushDemo(scene().warder, { 'reading-is-stripped.cedar': READING_IS_STRIPPED }, '--activate')
    try {
      await until('the token is stripped', ACT_WITHIN_MILLISECONDS, async () => {
        const { status } = await scene().ask('triage-bot', 'alice', { path: '/repos/7' })
        expect(status).toBe(200)
        return !('authorization' in scene().upstream.last().headers)
      })
    } finally {
      await pushDemo(scene().warder, {}, '--activate')
    }
  })
}

function credentials(scene: () => Scene): void {
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

function forgeries(scene: () => Scene): void {
  test.each(['X-Warder-User', 'X-Warder-Agent', 'X-Warder-Tenant', 'X-Warder-Subject'])(
    'a forged %s denies, even one that agrees with the token',
    async (header) => {
      const value = { 'X-Warder-User': 'alice', 'X-Warder-Agent': 'triage-bot' }[header] ?? TENANT
      const answer = await scene().ask('triage-bot', 'alice', {
        path: '/repos',
        headers: { [header]: value },
      })
      expect(answer.status).toBe(403)
      expect(answer.body).toContain('identity.forged_header')
      expect(scene().upstream.received).toEqual([])
    },
  )

  test.each([
    'X-Warder-Reason',
    'X-Warder-Obligations',
    'X-Warder-Authorization',
    'X-Warder-Gateway-Key',
    'X-Warder-Anything',
    'X-Decision-Id',
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
    expect(answer.status).toBeGreaterThanOrEqual(400)
    expect(scene().upstream.received).toEqual([])
  })
}

function changes(scene: () => Scene): void {
  test('an agent that is suspended is denied within a second', async () => {
    const { warder, ask } = scene()
    const status = async () => (await ask('triage-bot', 'alice', { path: '/repos' })).status
    expect(await status()).toBe(200)
    await setAgentStatus(warder, 'triage-bot', 'suspended')
    try {
      await until('the agent is denied', ACT_WITHIN_MILLISECONDS, async () => (await status()) === 403)
      const { body } = await ask('triage-bot', 'alice', { path: '/repos' })
      expect(body).toContain('agent.suspended')
    } finally {
      await setAgentStatus(warder, 'triage-bot', 'active')
    }
    await until('the agent is back', ACT_WITHIN_MILLISECONDS, async () => (await status()) === 200)
  })

  test('a gateway whose key is revoked lets nothing through within a second', async () => {
    const { warder, issuer, upstream } = scene()
    const second = await scene().addGateway('second')
    const headers = { authorization: `Bearer ${await issuer.token('triage-bot', 'alice')}` }
    const status = async () => (await send(second.port, { path: '/repos', headers })).status
    expect(await status()).toBe(200)
    await warder.cli('gateway', 'revoke', 'second', '--tenant', TENANT)
    await until('nothing passes', ACT_WITHIN_MILLISECONDS, async () => (await status()) !== 200)
    upstream.forget()
    for (let i = 0; i < 20; i++) expect(await status()).toBeGreaterThanOrEqual(400)
    expect(upstream.received).toEqual([])
  })

  test('an activation changes the answer within a second, and no request fails meanwhile', async () => {
    const { warder, ask } = scene()
    const release = await pushDemo(warder, { 'reading-is-paused.cedar': READING_IS_PAUSED })
    const answers: { readonly at: number; readonly status: number; readonly body: string }[] = []
    let isRunning = true
    const loop = async () => {
      while (isRunning) {
        const { status, body } = await ask('triage-bot', 'alice', { path: '/repos' })
        answers.push({ at: performance.now(), status, body })
      }
    }
    const loops = Promise.all([loop(), loop(), loop()])
    await until('requests flow', 5_000, () => answers.length > 30)
    await warder.cli('policy', 'activate', release, '--tenant', TENANT)
    const activated = performance.now()
    await sleep(ACT_WITHIN_MILLISECONDS + 500)
    isRunning = false
    await loops
    await pushDemo(warder, {}, '--activate')
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200, 403]))
    const firstDeny = answers.findIndex(({ status }) => status === 403)
    const late = answers.filter(
      ({ at, status }) => at > activated + ACT_WITHIN_MILLISECONDS && status !== 403,
    )
    expect(late).toEqual([])
    expect(answers[firstDeny]?.body).toContain('policy.forbid')
    // Requests overlap, so single allows may arrive behind the first deny, but only those that were under way.
    const stragglers = answers.slice(firstDeny + 3).filter(({ status }) => status === 200)
    expect(stragglers).toEqual([])
  })
}

function outages(scene: () => Scene): void {
  test('without Warder nothing passes, and everything is back once Warder is', async () => {
    const { warder, upstream, ask } = scene()
    expect((await ask('triage-bot', 'alice', { path: '/repos' })).status).toBe(200)
    await warder.kill()
    upstream.forget()
    for (let i = 0; i < 5; i++) {
      const answer = await ask('triage-bot', 'alice', { path: '/repos' })
      expect(answer).toMatchObject({ status: 503 })
      expect(JSON.parse(answer.body)).toEqual({ error: 'authorizer_unavailable' })
    }
    expect(upstream.received).toEqual([])
    await warder.start()
    expect((await ask('triage-bot', 'alice', { path: '/repos' })).status).toBe(200)
  })

  test('a Warder that hangs is a Warder that is not there', async () => {
    const { warder, upstream, ask } = scene()
    warder.pause()
    try {
      upstream.forget()
      const answer = await ask('triage-bot', 'alice', { path: '/repos' })
      expect(answer.status).toBe(503)
      expect(upstream.received).toEqual([])
    } finally {
      warder.resume()
    }
    await until('it answers again', 5_000, async () => {
      return (await ask('triage-bot', 'alice', { path: '/repos' })).status === 200
    })
  })

  test('a row of a decision names its release', async () => {
    const answer = await scene().ask('triage-bot', 'alice', { path: '/repos' })
    const row = await scene().warder.json('logs', 'show', answer.headers['x-decision-id'] ?? '')
    expect(textOf(row, 'release')).toMatch(/^sha256:[0-9a-f]{64}$/)
  })
}
