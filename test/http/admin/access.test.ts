import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ADMIN_ROLES, type AdminRole, roleIncludes } from '#admin/roles.ts'
import { ACCESS, type Access, type RouteKey } from '#http/admin/access.ts'
import { openScene, type Scene } from './scene.ts'

let scene: Scene
beforeAll(async () => {
  scene = await openScene()
})
afterAll(() => scene.close())

const ROUTES = Object.entries(ACCESS) as [RouteKey, Access][]

/** Asks for `route` in `tenant`, with a body that changes nothing because its content is refused. */
function ask(route: RouteKey, tenant: string, token: string | undefined) {
  const [method = '', path = ''] = route.split(' ')
  const concrete = path
    .replace('{tenant}', tenant)
    .replace('{name}', 'none')
    .replace('{release}', `sha256:${'0'.repeat(64)}`)
    .replace('{id}', '00000000-0000-7000-8000-000000000000')
  return scene.call(method, concrete, token, /POST|PUT|PATCH/.test(method) ? {} : undefined)
}

describe.each(ROUTES)('%s', (route, access) => {
  test.each(ADMIN_ROLES)(`the role %s ${'may or may not'} call it, as the table says`, async (role) => {
    const { status, json } = await ask(route, 'acme', scene.tokens[role])
    const isAllowed = roleIncludes(role, access.role)
    if (isAllowed) expect([401, 403]).not.toContain(status)
    else expect([status, json.code]).toEqual([403, 'http.forbidden'])
  })

  test('nobody may without a valid token', async () => {
    for (const token of [
      undefined,
      'x',
      `wat_${'a'.repeat(43)}`,
      `${scene.tokens.admin} `.repeat(2).trim(),
    ]) {
      const { status, json, headers } = await ask(route, 'acme', token)
      expect([status, json.code, headers.get('www-authenticate'), headers.get('content-type')]).toEqual([
        401,
        'http.unauthenticated',
        'Bearer realm="warder-admin"',
        'application/problem+json',
      ])
    }
  })
})

test.each(ROUTES.filter(([route]) => route.includes('{tenant}')))(
  '%s: a token of another tenant gets the bytes that it gets for a tenant that does not exist',
  async (route) => {
    for (const role of ADMIN_ROLES) {
      const foreign = await ask(route, 'globex', scene.acme[role])
      const unknown = await ask(route, 'nowhere', scene.acme[role])
      expect([foreign.status, foreign.json.code]).toEqual([404, 'tenant.unknown'])
      expect(foreign.text).toBe(unknown.text)
      expect([...foreign.headers]).toEqual([...unknown.headers])
      const unknownToAll = await ask(route, 'nowhere', scene.tokens[role])
      expect(unknownToAll.text).toBe(foreign.text)
    }
  },
)

test.each(ROUTES.filter(([, access]) => access.allTenants === true))(
  '%s: a token for some tenants may not call it',
  async (route) => {
    const { status, json } = await ask(route, 'acme', scene.acme.admin)
    expect([status, json.code]).toEqual([403, 'http.forbidden'])
  },
)

test('the roles are ordered: who may do something, every higher role may', () => {
  const roles: readonly AdminRole[] = ['viewer', 'author', 'approver', 'operator', 'admin']
  expect(ADMIN_ROLES).toEqual(roles)
  for (const [i, role] of roles.entries())
    expect(roles.map((needed) => roleIncludes(role, needed))).toEqual(roles.map((_, j) => j <= i))
})
