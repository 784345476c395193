import type { Warder } from './client.ts'
import type { Decision, JsonObject } from './types.ts'

/** What the guard uses of the second argument of a tool's callback in the MCP SDK. */
export interface McpExtra {
  readonly signal: AbortSignal
  readonly authInfo?: { readonly token: string } | undefined
  readonly requestInfo?:
    | { readonly headers: Readonly<Record<string, string | readonly string[] | undefined>> }
    | undefined
}

/** A tool result by which the model learns that it may not. */
export interface McpRefusal {
  readonly [key: string]: unknown
  isError: true
  content: { type: 'text'; text: string }[]
}

/**
 * A callback for `McpServer.registerTool` that runs `run` only where Warder allows the tool with these arguments. The caller is who
 * its access token says. While `run` works, `extra.signal` is aborted when the allow may no longer hold, if `warder.follow()` was
 * called; then the result is a refusal, too.
 *
 * @param server name of the MCP server in Warder's registry; the tool there is `server/tool`
 */
export function guardTool<Arguments extends object, Extra extends McpExtra, Result>(
  warder: Warder,
  server: string,
  tool: string,
  run: (args: Arguments, extra: Extra) => Promise<Result> | Result,
): (args: Arguments, extra: Extra) => Promise<Result | McpRefusal> {
  return async (args, extra) => {
    const token = tokenOf(extra)
    if (token === undefined) return refusal('credentials.missing', 'a bearer token is needed')
    const { signal, release } = warder.hold()
    try {
      const decision = await warder.decide({
        tool: { server, name: tool },
        // The SDK gives what came out of JSON, checked against the tool's schema.
        arguments: args as unknown as JsonObject,
        credentials: { access_token: token },
      })
      if (decision.decision !== 'allow') return refusalOf(decision)
      if (signal.aborted) return REVOKED
      const held = { ...extra, signal: AbortSignal.any([extra.signal, signal]) }
      const result = await untilAborted(run(args, held), signal)
      return result === ABORTED ? REVOKED : result
    } finally {
      release()
    }
  }
}

const REVOKED = refusal('client.revoked', 'the permission may have ended during the call')
const ABORTED = Symbol('aborted')

function untilAborted<Result>(
  result: Promise<Result> | Result,
  signal: AbortSignal,
): Promise<Result | typeof ABORTED> {
  const aborted = new Promise<typeof ABORTED>((resolve) => {
    if (signal.aborted) resolve(ABORTED)
    signal.addEventListener('abort', () => resolve(ABORTED), { once: true })
  })
  return Promise.race([Promise.resolve(result), aborted])
}

/** The token of the call; undefined also where two headers could mean two callers. */
function tokenOf({ authInfo, requestInfo }: McpExtra): string | undefined {
  if (authInfo !== undefined) return authInfo.token
  const header = requestInfo?.headers['authorization']
  return typeof header === 'string' ? /^bearer +([\x21-\x7e]+)$/i.exec(header)?.[1] : undefined
}

function refusalOf({ reasons }: Decision): McpRefusal {
  const [first] = reasons
  return refusal(first?.code ?? 'client.unavailable', first?.message ?? 'the call was denied')
}

function refusal(code: string, message: string): McpRefusal {
  return { isError: true, content: [{ type: 'text', text: `denied: ${message} (${code})` }] }
}
