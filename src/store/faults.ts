/** Codes of errors after which the same statement may succeed on a new connection. */
const CONNECTION_CODES: ReadonlySet<string> = new Set([
  'CONNECTION_CLOSED',
  'CONNECTION_DESTROYED',
  'CONNECT_TIMEOUT',
  'ECONNREFUSED',
  'ECONNRESET',
  'ENOENT',
  'EPIPE',
  'ETIMEDOUT',
  // Server: shutting down, crashed, starting up.
  '57P01',
  '57P02',
  '57P03',
])

/** The code of a database or system error; undefined for other errors. */
export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}

/** Whether the connection, and not the statement, failed. The statement may have been carried out all the same. */
export function isConnectionLoss(error: unknown): boolean {
  const code = codeOf(error)
  return code !== undefined && (CONNECTION_CODES.has(code) || code.startsWith('08'))
}

/** Rejects with `message` when `work` has not settled in time; `onLate` then frees what it holds. */
export async function withDeadline<T>(
  work: Promise<T>,
  milliseconds: number,
  message: string,
  onLate: () => void,
): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      onLate()
      reject(new Error(message))
    }, milliseconds)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}
