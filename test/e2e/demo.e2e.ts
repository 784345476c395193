import { execFile } from 'node:child_process'
import { chmodSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, inject, test } from 'vitest'

const TIMEOUT_MILLISECONDS = 230_000

/** Runs the demo with a temporary folder of its own; gives what it printed and what it left in that folder. */
async function play(envoy: string): Promise<{ readonly text: string; readonly left: readonly string[] }> {
  const folder = mkdtempSync(join(tmpdir(), 'demo-'))
  // As root the database runs as another user, who must be able to reach its folder.
  chmodSync(folder, 0o755)
  try {
    const env = { ...process.env, TMPDIR: folder, ENVOY_PATH: envoy }
    const options = { env, timeout: TIMEOUT_MILLISECONDS }
    const { stdout } = await promisify(execFile)(process.execPath, ['demo/run.ts'], options)
    return { text: stdout, left: readdirSync(folder) }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const WAYS = [
  ['with a real Envoy in front', () => inject('envoy'), 'The coarse check, by Envoy, told by Warder'],
  ['without Envoy, and says so', () => '/nowhere/envoy', 'Envoy: there is none'],
] as const

test.each(WAYS)(
  'the demo goes as its story says %s, ends by itself and leaves nothing behind',
  async (_way, envoy, said) => {
    const { text, left } = await play(envoy())
    expect(text).toContain(said)
    expect(text).toMatch(/\n13 of 13 checks hold/)
    expect(text).not.toContain('✗')
    expect(left.filter((name) => name.startsWith('warder-'))).toEqual([])
  },
  TIMEOUT_MILLISECONDS + 10_000,
)
