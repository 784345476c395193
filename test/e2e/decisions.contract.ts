import { expect, test } from 'vitest'
import { TENANT, textOf } from './demo.ts'
import type { Scene } from './scene.ts'

/** Answers, and their rows in the decision log. */
export function decisions(scene: () => Scene): void {
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

  test('a call that is no registered tool is denied to all who may not destroy', async () => {
    const unknown = { path: '/admin' }
    expect((await scene().ask('triage-bot', 'alice', unknown)).status).toBe(403)
    expect((await scene().ask('release-bot', 'bob', unknown)).status).toBe(403)
    expect(scene().upstream.received).toEqual([])
  })

  test('the decision log holds the row of every answer under its X-Decision-Id', async () => {
    const allowed = await scene().ask('triage-bot', 'alice', { path: '/repos' })
    const denied = await scene().ask('triage-bot', 'alice', { method: 'DELETE', path: '/repos/7' })
    const rows = await scene().warder.json('logs', 'query', '--tenant', TENANT, '--limit', '20')
    const usual = { tenant: TENANT, agent: 'triage-bot', user: 'alice', dialect: expect.any(String) }
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

  test('a row of a decision names its release', async () => {
    const answer = await scene().ask('triage-bot', 'alice', { path: '/repos' })
    const row = await scene().warder.json('logs', 'show', answer.headers['x-decision-id'] ?? '')
    expect(textOf(row, 'release')).toMatch(/^sha256:[0-9a-f]{64}$/)
  })
}
