import type { JsonObject } from '#model/value.ts'

/** Where the agent's own claims stand in the native request and in the AuthZEN extension. */
export interface DeclaredFields {
  readonly declared?: JsonObject | undefined
  readonly task?: { readonly id?: string | undefined; readonly goal?: string | undefined } | undefined
  readonly risk?: { readonly declared?: number | undefined } | undefined
}

/** Everything that the agent says about itself, under the names of the schema's `claimed` record. */
export function declaredOf({ declared, task, risk }: DeclaredFields): JsonObject {
  return {
    ...declared,
    ...(task?.goal !== undefined && { goal: task.goal }),
    ...(task?.id !== undefined && { task: task.id }),
    ...(risk?.declared !== undefined && { riskScore: risk.declared }),
  }
}
