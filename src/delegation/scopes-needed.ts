import type { RegistrySnapshot } from '#model/registry.ts'
import type { TenantRules } from '#model/tenant-rules.ts'
import { namesOfTool } from './tool-names.ts'

/** Scopes that the tenant demands for calls of `tool`: those of the tool itself and of the action groups that it is in. */
export function scopesNeeded(
  rules: TenantRules | undefined,
  tool: string | undefined,
  registry: RegistrySnapshot,
): readonly string[] {
  if (rules?.scopes === undefined) return []
  const { scopes } = rules
  const needed = [...namesOfTool(tool, registry)].flatMap((name) =>
    Object.hasOwn(scopes, name) ? (scopes[name] ?? []) : [],
  )
  return [...new Set(needed)]
}
