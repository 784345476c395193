import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { afterAll, expect, test } from 'vitest'
import { createProgram } from '#cli/program.ts'
import { renderReference } from '#cli/reference.ts'
import { readConfig } from '../../src/config.ts'
import { runner, temporaryFolder } from './harness.ts'

const folder = temporaryFolder()
const run = runner(folder.path)

afterAll(() => folder.remove())

test.each([
  [['gatewy'], "unknown command 'gatewy' (Did you mean gateway?)"],
  [['gateway', 'add', 'x'], "required option '--tenant <tenant>' not specified"],
  [['tenant', 'add'], "missing required argument 'name'"],
  [
    ['logs', 'query', '--limit', '0'],
    "option '--limit <number>' argument '0' is invalid. It must be at least 1.",
  ],
  [
    ['logs', 'query', '--decision', 'maybe'],
    "option '--decision <decision>' argument 'maybe' is invalid. Allowed choices are allow, deny.",
  ],
  [
    ['logs', 'query', '--since', 'yesterday'],
    "option '--since <time>' argument 'yesterday' is invalid. Write a time such as 2026-11-21T23:00:00Z, a date, or 15m, 2h, 7d.",
  ],
  [[], 'a command is missing'],
])('%j is a usage error with exit 2', async (args, message) => {
  const plain = await run(args)
  expect(plain).toEqual({
    exit: 2,
    stdout: '',
    stderr: `error: ${message} [cli.usage]\nhelp: see \`warder --help\`\n`,
  })
  const json = await run([...args, '--json'])
  expect(json).toMatchObject({ exit: 2, stdout: '' })
  expect(JSON.parse(json.stderr)).toEqual({
    error: { code: 'cli.usage', message, help: 'see `warder --help`' },
  })
})

test('help is printed on the standard output and ends with 0', async () => {
  for (const args of [['--help'], ['policy', '--help'], ['help', 'logs']]) {
    const helped = await run(args)
    expect(helped).toMatchObject({ exit: 0, stderr: '' })
    expect(helped.stdout).toMatch(/^Usage: warder/)
  }
})

test('a wrong environment ends with 2 and names every variable', async () => {
  const ran = await run(['tenant', 'list', '--json'], {
    env: { WARDER_DATADIR: 'x', WARDER_LOG_MODE: 'never' },
  })
  expect(ran).toMatchObject({ exit: 2, stdout: '' })
  const { error } = JSON.parse(ran.stderr)
  expect(error.code).toBe('config.invalid')
  expect(error.details.map(({ path }: { path: string }) => path)).toEqual([
    'WARDER_DATADIR',
    'WARDER_LOG_MODE',
  ])
})

test('a database that can not be reached ends with 4 and never shows its password', async () => {
  const env = { WARDER_DATABASE_URL: 'postgres://warder:s3cr%25t-pass@127.0.0.1:1/warder' }
  const ran = await run(['tenant', 'list', '--json'], { env })
  expect(ran).toMatchObject({ exit: 4, stdout: '' })
  expect(JSON.parse(ran.stderr).error.code).toBe('database.unavailable')
  expect(ran.stderr).not.toMatch(/s3cr/)
})

test('a fault in the program ends with 70 without a stack', async () => {
  const broken = runner(folder.path, () => Promise.reject(new Error('boom')))
  const ran = await broken(['serve', '--json'])
  expect(ran.exit).toBe(70)
  expect(JSON.parse(ran.stderr).error).toMatchObject({
    code: 'internal.fault',
    message: 'a fault in Warder itself: boom',
  })
  expect(ran.stderr).not.toContain('    at ')
})

test('serve runs until the server has stopped', async () => {
  let served = 0
  const serving = runner(folder.path, async () => {
    served += 1
  })
  expect(await serving(['serve'])).toEqual({ exit: 0, stdout: '', stderr: '' })
  expect(served).toBe(1)
})

test('docs/cli.md is what the commands say about themselves', async () => {
  const sink = { write: () => undefined }
  const program = createProgram({
    serve: async () => undefined,
    env: {},
    readConfig,
    version: '1.2.3',
    stdout: sink,
    stderr: sink,
  })
  await expect(renderReference(program)).toMatchFileSnapshot('../../docs/cli.md')
})

test('the command line works as a process of its own', async () => {
  const main = (...args: string[]) =>
    promisify(execFile)(process.execPath, ['src/main.ts', ...args], {
      env: { ...process.env, WARDER_DATA_DIR: folder.path },
    })
  const checked = await main('policy', 'check', 'policies/examples/authzen-todo', '--json')
  expect(JSON.parse(checked.stdout)).toMatchObject({ ok: true })
  const failed = await main('policy', 'check', 'docs', '--json').catch((fault: unknown) => fault)
  expect(failed).toMatchObject({ code: 1, stdout: '' })
})
