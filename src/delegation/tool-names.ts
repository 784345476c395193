import type { RegistrySnapshot } from '#model/registry.ts'

const GROUPS = ['callTool', 'readTools', 'writeTools', 'destructiveTools']

/** Names under which the rules of a tenant speak about calls of `tool`: its id and the action groups that it is in. */
export function namesOfTool(tool: string | undefined, registry: RegistrySnapshot): ReadonlySet<string> {
  const groups = tool === undefined ? [] : registry.ancestors({ type: 'Warder::Action', id: tool })
  const named = groups.map(({ id }) => id)
  // A tool that nobody classified counts as destructive, as in policies.
  const isClassified = named.some((id) => id !== 'callTool' && GROUPS.includes(id))
  const names = new Set([...named, 'callTool', ...(isClassified ? [] : ['destructiveTools'])])
  return tool === undefined ? names : names.add(tool)
}
