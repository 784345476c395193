import { expect, test } from 'vitest'
import { TOOLS } from '../../demo/tools.ts'
import { compileFiles, filesOf } from './shipped.ts'

test('the policies of `npm run demo` compile without an error or a warning', () => {
  expect(compileFiles(filesOf('demo/policies'))).toMatchObject({ ok: true, warnings: [] })
})

test('the demo has 50 tools, a fifth of which destroy something', () => {
  expect(new Set(TOOLS.map(({ name }) => name)).size).toBe(50)
  expect(TOOLS.filter(({ sideEffect }) => sideEffect === 'destructive').map(({ name }) => name)).toHaveLength(
    10,
  )
})
