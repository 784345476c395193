import { describe, expect, test } from 'vitest'
import { createProcessLog, faultText, type LogLevel } from '#process/log.ts'

const JWT = 'eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl'

function written(
  level: LogLevel,
  use: (logger: ReturnType<typeof createProcessLog>) => void,
): readonly Record<string, unknown>[] {
  const lines: string[] = []
  use(createProcessLog(level, undefined, { write: (line) => lines.push(line) }))
  return lines.map((line) => JSON.parse(line))
}

describe('the process log', () => {
  test('nothing that looks like a credential or has the name of one comes out, wherever it was put in', () => {
    const lines = written('info', (logger) => {
      logger.info(`started with Bearer ${JWT}`)
      logger.error({ fault: `connect postgres://warder:hunter2@db.test/warder: ${JWT}`, count: 3 }, 'failed')
      logger.error({ headers: { authorization: 'x', list: [JWT] }, password: 'hunter2' }, 'failed')
      logger.error(new Error(`no answer to ${JWT}`))
      logger.error({ cause: new Error('refused', { cause: new Error(JWT) }) }, 'failed')
    })
    expect(lines).toHaveLength(5)
    const text = JSON.stringify(lines)
    for (const secret of ['eyJ', 'hunter2', 'c2lnbmF0dXJl']) expect(text).not.toContain(secret)
    expect(lines[1]).toMatchObject({
      count: 3,
      fault: 'connect postgres://[masked]@db.test/warder: [masked]',
    })
    expect(lines[2]).toMatchObject({ headers: { authorization: '[masked]', list: ['[masked]'] } })
  })

  test('an object that contains itself is cut, not followed for ever', () => {
    const list: unknown[] = [JWT]
    list.push(list)
    const text = JSON.stringify(written('info', (logger) => logger.info({ list }, 'x')))
    expect(text).toContain('[cut]')
    expect(text).not.toContain('eyJ')
  })

  test.each([
    ['debug', ['debug', 'info', 'warn', 'error']],
    ['info', ['info', 'warn', 'error']],
    ['warn', ['warn', 'error']],
    ['error', ['error']],
  ] as const)('at level %s the lines of %j are written', (level, expected) => {
    const lines = written(level, (logger) => {
      for (const each of ['debug', 'info', 'warn', 'error'] as const) logger[each](each)
    })
    expect(lines.map(({ msg }) => msg)).toEqual(expected)
  })

  test('a copy of each line goes to the exporter', () => {
    const copies: string[] = []
    const lines: string[] = []
    createProcessLog(
      'info',
      { write: (line) => copies.push(line) },
      { write: (line) => lines.push(line) },
    ).info('started')
    expect(copies).toEqual(lines)
    expect(lines).toHaveLength(1)
  })

  test('a fault is told with its code and its causes, on one line that has an end', () => {
    const cause = Object.assign(new Error('connection refused'), { code: 'ECONNREFUSED' })
    expect(faultText(new Error('no state', { cause }))).toBe(
      'Error: no state; because of Error: connection refused (ECONNREFUSED)',
    )
    expect(faultText(new Error('x'.repeat(10_000))).length).toBe(1_000)
    expect(faultText('a string that could be anything')).toBe('unknown fault')
  })
})
