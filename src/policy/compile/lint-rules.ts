/** One rule of the linter. Ids are API: never renamed or reused. */
export interface LintRule {
  /** What is found, in one line. */
  readonly meaning: string
  /** What goes wrong where nobody heeds it. */
  readonly why: string
  /** What to write instead. */
  readonly instead: string
}

/** Every rule of the linter by its id; docs/lint.md is made from it. */
export const LINT_RULES = {
  'lint.forbid_may_error': {
    meaning: 'the condition of a forbid can fail at run time',
    why: 'Cedar skips a policy that fails. Warder does not let a forbid vanish so: the call is denied with `policy.error`, for everybody whom its scope meets, until the policy or the data is repaired.',
    instead:
      'Test optional attributes with `has` and tags with `hasTag` first; compare instead of calculating; compare entities as a whole instead of reading the attributes of an entity that another one refers to; give `ip()`, `decimal()`, `datetime()` and `duration()` literals.',
  },
  'lint.forbid_without_reason': {
    meaning: 'a forbid has no `@reason`',
    why: 'The agent is told only that it was denied, tries again and asks people who can not know why either.',
    instead: 'Add `@reason("One sentence that an agent may see.")`.',
  },
  'lint.forbid_obligation': {
    meaning: 'a forbid carries an obligation that only an allowed call can fulfil',
    why: 'A denied call is not made, so nothing can be redacted, limited or exchanged: the annotation suggests a protection that is not there.',
    instead:
      'On a forbid use `step_up` or `human_approval` (what would turn the denial), `audit` or `notify`; put the others on the permits.',
  },
  'lint.permit_on_declared': {
    meaning: 'a permit reads `context.claimed`',
    why: 'What an agent says about itself can only restrict: an allow that depends on it becomes a deny with `policy.declared_only`.',
    instead:
      'Permit by what is known of the agent, the user and the tool, and write a forbid for what the agent itself reports.',
  },
  'lint.permit_on_prior_actors': {
    meaning: 'a permit reads `context.delegation.depth`',
    why: 'How many acted before says nothing for whoever acts now: prior actors only restrict (RFC 8693 section 4.1), and one more of them must never turn a denial into an allow.',
    instead:
      'Permit by who acts now and by `context.delegation.evidence`, and write a forbid for chains that are too deep.',
  },
  'lint.permit_anyone': {
    meaning: 'a permit for many tools says nothing about who may call them',
    why: 'Every agent or every user of the tenant is allowed, also those that are registered tomorrow and those that nobody registered.',
    instead:
      'Name a group or an entity in the scope of `principal`, or single tools in the scope of `action`.',
  },
  'lint.duplicate': {
    meaning: 'two policies say the same under different ids',
    why: 'A later change to one of them has no effect while the other stays.',
    instead: 'Keep one of them.',
  },
  'lint.shadowed': {
    meaning: 'a policy is covered by a wider one without conditions',
    why: 'Nothing depends on it: its scope and conditions look like a restriction and are none.',
    instead: 'Remove it, or narrow the wider policy.',
  },
  'lint.unreachable': {
    meaning: 'a permit can never take effect, because a forbid stops all that it allows',
    why: 'A forbid always wins.',
    instead: 'Remove the permit, or narrow the forbid.',
  },
} as const satisfies Readonly<Record<string, LintRule>>

/** A stable id of a rule. */
export type LintRuleId = keyof typeof LINT_RULES

/** Codes of the compiler for the rules, in the form of its own table. */
export const LINT_CODES = Object.fromEntries(
  Object.entries(LINT_RULES).map(([id, { meaning }]) => [id, meaning]),
) as Readonly<Record<LintRuleId, string>>
