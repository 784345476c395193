import { type Logger, pino } from 'pino'
import { isSensitiveName, withoutSecrets } from '#decision-log/secrets.ts'

/** What writes a line of the process's own log. */
export type ProcessLog = Logger

/** Lowest level that is written. */
export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

/** Where lines go; each ends with a line break. */
export interface LineSink {
  write(line: string): void
}

const CAUSES_MAX = 3
const CHARACTERS_MAX = 1_000
const DEPTH_MAX = 4
/** User and password of a URL, such as the one of the database. */
const URL_CREDENTIALS = /\/\/[^\s/@:]*:[^\s/@]*@/g

/**
 * The process's own log: JSON lines on stderr, so that stdout stays for people.
 *
 * INVARIANT: the only place where a line of it is made. Whatever somebody puts in, credentials and passwords do not come out.
 *
 * @param copy gets every line too, such as an exporter; must not throw.
 */
export function createProcessLog(level: LogLevel, copy?: LineSink, sink: LineSink = stderr()): ProcessLog {
  const both: LineSink = {
    write: (line) => {
      sink.write(line)
      copy?.write(line)
    },
  }
  const options = {
    level,
    base: { name: 'warder' },
    serializers: { msg: textOf },
    formatters: { log: (fields: Record<string, unknown>) => redacted(fields, 0) },
  }
  return pino(options, copy === undefined ? sink : both)
}

/** What an error says, its causes too, on one line; parameters of a statement are never part of it. */
export function faultText(fault: unknown): string {
  const texts: string[] = []
  for (let next = fault; next instanceof Error && texts.length <= CAUSES_MAX; next = next.cause) {
    const code = 'code' in next && typeof next.code === 'string' ? ` (${next.code})` : ''
    texts.push(`${next.name}: ${next.message}${code}`)
  }
  return texts.length === 0 ? 'unknown fault' : textOf(texts.join('; because of '))
}

function stderr(): LineSink {
  return pino.destination({ fd: 2, sync: true })
}

function redacted(fields: Record<string, unknown>, depth: number): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, shown(name, value, depth)]))
}

function shown(name: string, value: unknown, depth: number): unknown {
  if (value instanceof Error) return faultText(value)
  if (typeof value === 'string') return isSensitiveName(name, value) ? '[masked]' : textOf(value)
  if (typeof value !== 'object' || value === null) return value
  // Also the end of an object that contains itself.
  if (depth === DEPTH_MAX) return '[cut]'
  return Array.isArray(value)
    ? value.map((each) => shown(name, each, depth + 1))
    : redacted({ ...value }, depth + 1)
}

function textOf(value: unknown): string {
  const text = String(value).slice(0, CHARACTERS_MAX)
  return withoutSecrets(text.replaceAll(URL_CREDENTIALS, '//[masked]@'))
}
