import { failed, type Result, success } from '#lib/result.ts'
import type { Malformed } from '#model/request.ts'

const TOOL_TYPES: ReadonlySet<string> = new Set(['tool', 'Warder::Tool'])

/**
 * The tool that an AuthZEN action and resource name: the resource where it is a tool (`tools/call` on it, as in COAZ, or any
 * other verb), undefined for a resource of another type, where the action is the tool.
 *
 * An action that is itself a tool id (`server/tool`) must be the same tool: one of two would silently not be asked about.
 */
export function toolOf(
  action: string,
  resource: { readonly type: string; readonly id: string },
): Result<string | undefined, Malformed> {
  if (!TOOL_TYPES.has(resource.type)) return success(undefined)
  const isToolId = action.includes('/') && action !== 'tools/call'
  if (!isToolId || action === resource.id) return success(resource.id)
  return failed({
    code: 'request.wrong_type',
    message: '`action.name` and `resource.id` name different tools',
  })
}
