import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { exampleFolder, readPolicyFolder, readTextFile } from '#admin/policy-folder.ts'
import { appendRowsTo } from '../../support/append-rows.ts'
import { logRow } from '../../support/store-samples.ts'
import { openScene, type Scene } from './scene.ts'

let scene: Scene
beforeAll(async () => {
  scene = await openScene()
})
afterAll(async () => {
  expect(scene.faults).toEqual([])
  await scene.close()
})

const ACME = '/v1/tenants/acme'
const call = (method: string, path: string, body?: unknown, token = scene.tokens.admin) =>
  scene.call(method, path, token, body)

async function newestAudit(limit = 1) {
  return (await call('GET', `/v1/audit?limit=${limit}`)).json.items
}

describe('tenants', () => {
  test('a tenant is added once', async () => {
    const added = await call('POST', '/v1/tenants', { tenant: 'initech' })
    expect([added.status, added.json]).toEqual([201, { tenant: 'initech' }])
    const again = await call('POST', '/v1/tenants', { tenant: 'initech' })
    expect([again.status, again.json.code]).toEqual([409, 'tenant.exists'])
    const wrong = await call('POST', '/v1/tenants', { tenant: 'No Spaces' })
    expect([wrong.status, wrong.json.code]).toEqual([400, 'tenant.invalid'])
  })

  test('its settings change one by one, and the change is in the audit', async () => {
    const path = '/v1/tenants/globex'
    const initial = { tenant: 'globex', retention_days: null, mask_fields: [], rules: {} }
    expect((await call('PATCH', path, {})).json).toEqual(initial)
    expect((await call('PATCH', path, { retention_days: 30 })).json).toEqual({
      ...initial,
      retention_days: 30,
    })
    const masked = await call('PATCH', path, { mask_fields: ['iban'] })
    expect(masked.json).toEqual({ ...initial, retention_days: 30, mask_fields: ['iban'] })
    expect((await newestAudit())[0]).toMatchObject({
      before: { retention_days: 30, mask_fields: [] },
      after: { retention_days: 30, mask_fields: ['iban'] },
    })
    expect((await call('PATCH', path, { retention_days: 0 })).json.code).toBe('tenant.invalid')
  })

  test('a token lists the tenants that it may see', async () => {
    const names = (answer: { json: { items: { tenant: string }[] } }) =>
      answer.json.items.map(({ tenant }) => tenant)
    expect(names(await call('GET', '/v1/tenants'))).toEqual(expect.arrayContaining(['acme', 'globex']))
    expect(names(await call('GET', '/v1/tenants', undefined, scene.acme.viewer))).toEqual(['acme'])
  })
})

describe('gateways', () => {
  test('a gateway is added, rotated and revoked; its key is shown once and is in no list and no audit', async () => {
    const added = await call('POST', `${ACME}/gateways`, { name: 'edge', asserts: ['identity'] })
    expect([added.status, added.json]).toEqual([
      201,
      { key: expect.stringMatching(/^wgk_/), gateway: expect.any(String), name: 'edge', tenant: 'acme' },
    ])
    const again = await call('POST', `${ACME}/gateways`, { name: 'edge' })
    expect([again.status, again.json.code]).toEqual([409, 'gateway.exists'])
    const rotated = await call('POST', `${ACME}/gateways/edge/rotate`, { keep_seconds: 60 })
    expect(rotated.json.key).not.toBe(added.json.key)
    const listed = await call('GET', `${ACME}/gateways`)
    expect(listed.json.items[0]).toMatchObject({ name: 'edge', asserts: ['identity'], revoked_at: null })
    const revoked = await call('POST', `${ACME}/gateways/edge/revoke`)
    expect([revoked.status, revoked.json]).toEqual([200, { name: 'edge', tenant: 'acme' }])
    const gone = await call('POST', `${ACME}/gateways/edge/revoke`)
    expect([gone.status, gone.json.code]).toEqual([404, 'gateway.unknown'])
    const rows = JSON.stringify(await newestAudit(10))
    for (const { key } of [added.json, rotated.json]) {
      expect(rows).not.toContain(key)
      expect(listed.text).not.toContain(key)
    }
  })

  test('pages are followed by their `next`, and an `after` of somebody else is refused', async () => {
    for (const name of ['p1', 'p2', 'p3']) await call('POST', '/v1/tenants/globex/gateways', { name })
    const first = await call('GET', '/v1/tenants/globex/gateways?limit=2')
    expect(first.json.items.map(({ name }: { name: string }) => name)).toEqual(['p1', 'p2'])
    const second = await call('GET', `/v1/tenants/globex/gateways?limit=2&after=${first.json.next}`)
    expect(second.json).toMatchObject({ items: [{ name: 'p3' }], next: null })
    for (const query of ['limit=0', 'limit=501', 'limit=x', 'after=%20', 'after=_w']) {
      const { status, json } = await call('GET', `/v1/tenants/globex/gateways?${query}`)
      expect([query, status, json.code]).toEqual([
        query,
        400,
        query.startsWith('limit') ? 'request.invalid' : 'request.page_unknown',
      ])
    }
  })
})

test('only a token for all tenants may let an issuer lead into private networks', async () => {
  const issuer = {
    issuer: 'https://private.example',
    audience: 'warder',
    jwks_uri: 'https://10.0.0.7/jwks',
    private_network: true,
  }
  const denied = await call('PUT', `${ACME}/issuers`, issuer, scene.acme.admin)
  expect([denied.status, denied.json.code]).toEqual([403, 'http.forbidden'])
  expect((await call('GET', `${ACME}/issuers`)).json.items).toEqual([])
  for (const odd of ['true', 1, {}]) {
    const refused = await call(
      'PUT',
      `${ACME}/issuers`,
      { ...issuer, private_network: odd },
      scene.acme.admin,
    )
    expect([refused.status, refused.json.code]).toEqual([400, 'issuer.invalid'])
  }
  const allowed = await call('PUT', `${ACME}/issuers`, issuer)
  expect(allowed.status).toBe(200)
  // What is without the flag again is for the tenant's own administrator.
  const { private_network: _, ...open } = issuer
  expect((await call('PUT', `${ACME}/issuers`, open, scene.acme.admin)).status).toBe(200)
  const remove = `${ACME}/issuers?issuer=${encodeURIComponent(issuer.issuer)}`
  expect((await call('DELETE', remove)).status).toBe(200)
})

test('an issuer is put twice with one outcome, listed and removed', async () => {
  const issuer = {
    issuer: 'https://issuer.example',
    audience: 'warder',
    jwks_uri: 'https://issuer.example/jwks',
  }
  for (let i = 0; i < 2; i++) {
    const put = await call('PUT', `${ACME}/issuers`, issuer)
    expect([put.status, put.json]).toEqual([200, { issuer: issuer.issuer, tenant: 'acme', warnings: [] }])
  }
  expect((await call('GET', `${ACME}/issuers`)).json.items).toMatchObject([{ issuer: issuer.issuer }])
  const wrong = await call('PUT', `${ACME}/issuers`, { issuer: 'x' })
  expect([wrong.status, wrong.json.code, wrong.json.errors.length > 0]).toEqual([400, 'issuer.invalid', true])
  const remove = `${ACME}/issuers?issuer=${encodeURIComponent(issuer.issuer)}`
  expect((await call('DELETE', remove)).status).toBe(200)
  expect((await call('DELETE', remove)).json.code).toBe('issuer.unknown')
})

describe('entities', () => {
  test('a registry file is imported whole or not at all, listed and removed', async () => {
    const text = await readTextFile(`${exampleFolder('demo')}/registry.json`)
    if (!text.ok) throw new Error(text.failure.message)
    const imported = await call('POST', `${ACME}/entities/import`, text.value)
    expect([imported.status, imported.json.tenant]).toEqual([200, 'acme'])
    const agents = await call('GET', `${ACME}/entities?type=Warder::Agent&limit=1`)
    expect(agents.json.items[0].uid.type).toBe('Warder::Agent')
    const all: unknown[] = []
    for (let next = ''; ; ) {
      const page = await call('GET', `${ACME}/entities?limit=3${next === '' ? '' : `&after=${next}`}`)
      all.push(...page.json.items)
      next = page.json.next ?? ''
      if (next === '') break
    }
    expect(all.length).toBe(imported.json.entities)
    const { uid } = agents.json.items[0]
    expect((await call('POST', `${ACME}/entities/remove`, { entities: [uid] })).json).toEqual({ removed: 1 })
    expect((await call('POST', `${ACME}/entities/remove`, { entities: [uid] })).json).toEqual({ removed: 0 })
    expect((await newestAudit())[0]).toMatchObject({ outcome: 'unchanged', target: 'registry' })
  })

  test('a file with an error, or a key that stands twice, changes nothing and says where', async () => {
    for (const text of ['{"agents":{"a":{"status":7}}}', '{"agents":{"a":{},"a":{}}}']) {
      const { status, json } = await call('POST', `${ACME}/entities/import`, text)
      expect([text, status, json.code, json.errors?.length > 0]).toEqual([
        text,
        400,
        'registry.invalid',
        true,
      ])
    }
  })
})

describe('releases', () => {
  test('files are compiled and stored, once; activation and rollback move between releases', async () => {
    const files = await readPolicyFolder(exampleFolder('demo'))
    if (!files.ok) throw new Error(files.failure.message)
    const refused = await call(
      'POST',
      `${ACME}/releases`,
      { files: files.value, activate: true },
      scene.acme.author,
    )
    expect([refused.status, refused.json.code]).toEqual([403, 'http.forbidden'])
    const pushed = await call('POST', `${ACME}/releases`, { files: files.value }, scene.acme.author)
    expect([pushed.status, pushed.json]).toMatchObject([200, { stored: true, active: false, tenant: 'acme' }])
    const again = await call('POST', `${ACME}/releases`, { files: files.value })
    expect(again.json).toMatchObject({ stored: false, release: pushed.json.release })
    const changed = files.value.map((file) =>
      file.name.endsWith('.cedar') ? { ...file, text: `${file.text}\n// changed\n` } : file,
    )
    const second = await call('POST', `${ACME}/releases`, { files: changed, activate: true })
    expect(second.json).toMatchObject({ stored: true, active: true })
    expect((await call('POST', `${ACME}/rollback`)).json.code).toBe('release.no_previous')
    const activate = `${ACME}/releases/${pushed.json.release}/activate`
    expect((await call('POST', activate, undefined, scene.acme.author)).status).toBe(403)
    expect((await call('POST', activate, undefined, scene.acme.approver)).json.release).toBe(
      pushed.json.release,
    )
    expect((await call('POST', `${ACME}/rollback`)).json).toEqual({
      release: second.json.release,
      tenant: 'acme',
    })
    const shown = await call('GET', `${ACME}/releases/active`)
    expect(shown.json).toMatchObject({ release: second.json.release, active: true })
    expect(new Set(shown.json.sources)).toEqual(new Set(changed))
    const listed = await call('GET', `${ACME}/releases`)
    expect(listed.json.items.map(({ active }: { active: boolean }) => active)).toEqual([true, false])
    const unknown = await call('GET', `${ACME}/releases/sha256:${'0'.repeat(64)}`)
    expect([unknown.status, unknown.json.code]).toEqual([404, 'release.unknown'])
  })

  test('files with errors are refused with their diagnostics', async () => {
    const files = [{ name: 'a.cedar', text: 'permit (' }]
    const { status, json } = await call('POST', `${ACME}/releases`, { files })
    expect([status, json.code]).toEqual([400, 'policy.invalid'])
    expect(json.errors).toContainEqual(
      expect.objectContaining({ severity: 'error', file: 'a.cedar', line: 1 }),
    )
  })
})

test('decisions are filtered and paged; those of another tenant are as unknown as none', async () => {
  const at = (second: number) => `2026-11-21T10:00:0${second}.000Z`
  const rows = [1, 2, 3].map((second) =>
    logRow('acme', 'w', second, { decided_at: at(second), tool: second === 2 ? 'x/y' : 'a/b' }),
  )
  await appendRowsTo(scene.database)([...rows, logRow('globex', 'w', 4)])
  const first = await call('GET', `${ACME}/decisions?limit=2`)
  const times = (answer: { json: { items: { decided_at: string }[] } }) =>
    answer.json.items.map((row) => row.decided_at)
  expect(times(first)).toEqual([at(3), at(2)])
  expect(times(await call('GET', `${ACME}/decisions?limit=2&after=${first.json.next}`))).toEqual([at(1)])
  expect(times(await call('GET', `${ACME}/decisions?tool=x/y`))).toEqual([at(2)])
  expect(times(await call('GET', `${ACME}/decisions?since=${at(2)}&until=${at(3)}`))).toEqual([at(2)])
  for (const [query, count] of [
    ['agent=planner&user=ada&reason=policy.permit&decision=allow', 3],
    ['gateway=edge&request_id=r-1&release=sha256:0&policy=p', 3],
    ['text=planner', 3],
    ['text=nobody', 0],
    ['gateway=other', 0],
    ['request_id=r-2', 0],
    ['policy=q', 0],
  ] as const) {
    const { json } = await call('GET', `${ACME}/decisions?${query}`)
    expect([query, json.items?.length]).toEqual([query, count])
  }
  expect((await call('GET', `${ACME}/decisions?after=abc`)).json.code).toBe('request.page_unknown')
  expect((await call('GET', `${ACME}/decisions?since=yesterday`)).json.code).toBe('request.invalid')
  const id = rows[0]?.decision_id
  expect((await call('GET', `${ACME}/decisions/${id}`)).json).toMatchObject({ decision_id: id, tool: 'a/b' })
  const foreign = await call('GET', `/v1/tenants/globex/decisions/${id}`)
  const unknown = await call('GET', '/v1/tenants/globex/decisions/none')
  expect([foreign.status, foreign.json.code, foreign.text]).toEqual([404, 'decision.unknown', unknown.text])
})

test('tokens are added and revoked; one for some tenants makes and sees none that sees more', async () => {
  const mine = scene.acme.admin
  const made = await call('POST', '/v1/tokens', { name: 'n1', role: 'viewer', tenants: ['acme'] }, mine)
  expect([made.status, made.json]).toMatchObject([
    201,
    { token: expect.stringMatching(/^wat_/), role: 'viewer' },
  ])
  expect((await call('GET', ACME.concat('/gateways'), undefined, made.json.token)).status).toBe(200)
  for (const [tenants, code] of [
    [undefined, 'token.invalid'],
    [['globex'], 'tenant.unknown'],
    [['acme', 'globex'], 'tenant.unknown'],
    [['nowhere'], 'tenant.unknown'],
  ] as const) {
    const refused = await call('POST', '/v1/tokens', { name: 'n2', role: 'viewer', tenants }, mine)
    expect([tenants, refused.json.code]).toEqual([tenants, code])
  }
  const listed = await call('GET', '/v1/tokens', undefined, mine)
  expect(listed.json.items.every(({ tenants }: { tenants: string[] }) => tenants.join() === 'acme')).toBe(
    true,
  )
  expect(listed.text).not.toContain(made.json.token)
  expect((await call('POST', '/v1/tokens/all-admin/revoke', undefined, mine)).json.code).toBe('token.unknown')
  expect((await call('POST', '/v1/tokens/n1/revoke', undefined, mine)).status).toBe(200)
  expect((await call('GET', `${ACME}/gateways`, undefined, made.json.token)).status).toBe(401)
})

describe('the audit', () => {
  test('every call is in it: changes, reads, refusals and what does not exist', async () => {
    const headers = { 'x-request-id': 'r-42' }
    await scene.call('POST', `${ACME}/gateways`, scene.tokens.operator, { name: 'audited' }, headers)
    await scene.call('GET', `${ACME}/gateways`, scene.tokens.viewer)
    await scene.call('POST', `${ACME}/gateways`, scene.tokens.viewer, { name: 'x' })
    await scene.call('GET', '/v1/tenants/globex/gateways', scene.acme.viewer)
    await scene.call('GET', '/v1/none', scene.tokens.viewer)
    const rows = await newestAudit(5)
    const route = `POST /v1/tenants/{tenant}/gateways`
    expect(rows.toReversed()).toMatchObject([
      {
        ...{ actor: 'token:all-operator', role: 'operator', route, tenant: 'acme', target: 'audited' },
        ...{ before: null, after: { user_only: false }, outcome: 'changed', request_id: 'r-42' },
      },
      { actor: 'token:all-viewer', route: 'GET /v1/tenants/{tenant}/gateways', outcome: 'read' },
      { actor: 'token:all-viewer', route, tenant: 'acme', outcome: 'http.forbidden', after: null },
      { actor: 'token:acme-viewer', tenant: null, target: 'globex', outcome: 'tenant.unknown' },
      { actor: 'token:all-viewer', route: 'GET (no route)', outcome: 'http.not_found' },
    ])
  })

  test('a token for some tenants sees their rows alone', async () => {
    const { json } = await call('GET', '/v1/audit?limit=500', undefined, scene.acme.operator)
    expect(json.items.length).toBeGreaterThan(5)
    expect(new Set(json.items.map(({ tenant }: { tenant: string }) => tenant))).toEqual(new Set(['acme']))
    const [foreign, unknown] = await Promise.all(
      ['globex', 'nowhere'].map((tenant) =>
        call('GET', `/v1/audit?tenant=${tenant}`, undefined, scene.acme.operator),
      ),
    )
    expect([foreign?.status, foreign?.text]).toEqual([404, unknown?.text])
  })

  test('where it can not be written, no answer leaves', async () => {
    const { server, store } = { server: scene.database.owner, store: scene.store }
    await server`alter table admin_audit rename to admin_audit_away`
    const read = await call('GET', `${ACME}/gateways`)
    const change = await call('POST', `${ACME}/gateways`, { name: 'unaudited' })
    await server`alter table admin_audit_away rename to admin_audit`
    expect([read.status, change.status]).toEqual([500, 500])
    expect(scene.faults.splice(0).length).toBeGreaterThan(0)
    const names = (await store.listGateways(undefined, { limit: 100 })).map(({ name }) => name)
    expect(names).not.toContain('unaudited')
  })

  test('nobody can change a row of it, not even the owner', async () => {
    const { owner } = scene.database
    await expect(owner`update admin_audit set actor = 'x'`).rejects.toThrow('admin_audit is insert only')
    await expect(owner`delete from admin_audit`).rejects.toThrow('admin_audit is insert only')
  })
})

test.each([
  ['not JSON', '{', {}, 400, 'request.malformed_json'],
  ['another media type', 'name=x', { 'content-type': 'text/plain' }, 415, 'request.unsupported_media_type'],
  ['a field too many', '{"name":"x","nam":1}', {}, 400, 'request.invalid'],
  ['a body too large', `{"name":"${'x'.repeat(70_000)}"}`, {}, 413, 'request.too_large'],
])('%s is refused with a problem document', async (_what, body, headers, status, code) => {
  const answer = await scene.call('POST', `${ACME}/gateways`, scene.tokens.admin, body, headers)
  expect([answer.status, answer.json.code, answer.json.status]).toEqual([status, code, status])
  expect(answer.headers.get('content-type')).toBe('application/problem+json')
  expect(answer.headers.get('cache-control')).toBe('no-store')
})
