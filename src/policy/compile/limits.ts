/** Bounds of what a folder may contain; each keeps the engine or the database away from its own limits. */
export const LIMITS = {
  files: 2_000,
  /** UTF-16 code units of all files together. */
  totalCharacters: 64 * 1_024 * 1_024,
  policies: 20_000,
  /** UTF-8 bytes of one policy with the comment before it. */
  policyBytes: 10 * 1_024,
  /** Brackets inside brackets; the engine's parser fails at 80. */
  policyNesting: 40,
  /** Operators of one policy; the engine's evaluator fails at 367 on Node 24. */
  policyOperators: 250,
  schemaBytes: 1_024 * 1_024,
  schemaNesting: 40,
  /** Nodes of the schema after all common types are written out. */
  schemaNodes: 250_000,
  testsPerFile: 10_000,
} as const
