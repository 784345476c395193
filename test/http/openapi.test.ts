import { expect, test } from 'vitest'
import { openApiDocument } from '#http/openapi.ts'

test('docs/openapi.json is what the code says (`npx vitest run test/http/openapi.test.ts -u` writes it)', async () => {
  await expect(`${JSON.stringify(openApiDocument(), null, 2)}\n`).toMatchFileSnapshot(
    '../../docs/openapi.json',
  )
})

test('every reference leads somewhere', () => {
  const document = openApiDocument()
  const text = JSON.stringify(document)
  const names = [...text.matchAll(/"#\/components\/schemas\/([^"]+)"/g)].map(([, name]) => name ?? '')
  const known: unknown = document['components']
  expect(names.length).toBeGreaterThan(5)
  for (const name of names) expect(known).toHaveProperty(['schemas', name])
})
