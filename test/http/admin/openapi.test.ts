import { afterAll, beforeAll, expect, test } from 'vitest'
import { ACCESS } from '#http/admin/access.ts'
import { openScene, type Scene } from './scene.ts'

let scene: Scene
beforeAll(async () => {
  scene = await openScene()
})
afterAll(() => scene.close())

test('docs/admin-openapi.json is what the server says', async () => {
  const { status, json } = await scene.call('GET', '/openapi.json')
  expect(status).toBe(200)
  await expect(`${JSON.stringify(json, null, 2)}\n`).toMatchFileSnapshot('../../../docs/admin-openapi.json')
})

test('the document has every route of the table and no other, each with a token', async () => {
  const { json } = await scene.call('GET', '/openapi.json')
  const operations = Object.entries<Record<string, { security: unknown }>>(json.paths).flatMap(
    ([path, methods]) =>
      Object.entries(methods).map(([method, { security }]) => {
        expect(security).toEqual([{ adminToken: [] }])
        return `${method.toUpperCase()} ${path}`
      }),
  )
  expect(new Set(operations)).toEqual(new Set(Object.keys(ACCESS)))
})
