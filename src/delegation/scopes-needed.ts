import type { RegistrySnapshot } from '#model/registry.ts'
import type { TenantRules } from '#model/tenant-rules.ts'

const GROUPS = ['callTool', 'readTools', 'writeTools', 'destructiveTools']

/** Scopes that the tenant demands for calls of `tool`: those of the tool itself and of the action groups that it is in. */
export function scopesNeeded(
  rules: TenantRules | undefined,
  tool: string | undefined,
  registry: RegistrySnapshot,
): readonly string[] {
  if (rules?.scopes === undefined) return []
  const groups = tool === undefined ? [] : registry.ancestors({ type: 'Warder::Action', id: tool })
  const named = groups.map(({ id }) => id)
  // A tool that nobody classified counts as destructive, as in policies.
  const isClassified = named.some((id) => id !== 'callTool' && GROUPS.includes(id))
  const names = new Set([...named, 'callTool', ...(isClassified ? [] : ['destructiveTools'])])
  if (tool !== undefined) names.add(tool)
  const { scopes } = rules
  return [...new Set([...names].flatMap((name) => (Object.hasOwn(scopes, name) ? (scopes[name] ?? []) : [])))]
}
