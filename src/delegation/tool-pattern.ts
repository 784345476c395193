/** Whether a ceiling's list of tools names `tool`: by its id, by `server/*` for all tools of a server, or by `*`. */
export function namesTool(patterns: readonly string[], tool: string | undefined): boolean {
  return patterns.some(
    (pattern) =>
      pattern === '*' ||
      pattern === tool ||
      // What follows the slash must be there: `crm/*` names neither `crm` nor `crm/`.
      (pattern.endsWith('/*') &&
        tool !== undefined &&
        tool.length >= pattern.length &&
        tool.startsWith(pattern.slice(0, -1))),
  )
}
