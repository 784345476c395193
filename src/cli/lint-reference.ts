import { DIAGNOSTIC_CODES } from '#policy/compile/diagnostic.ts'
import { LINT_RULES } from '#policy/compile/lint-rules.ts'

const INTRODUCTION = `# What the compiler says about policies
\`warder policy check DIR\` prints every finding with file, line, column and a stable code; \`--json\` gives the same as
\`errors\` and \`warnings\` with \`severity\`, \`code\`, \`message\`, \`help\`, \`file\`, \`line\`, \`column\`, \`source\` and \`policy\`.
\`policy push\` refuses a folder with an error. Warnings stop nothing, unless \`--strict\` is given: then each of them is an error.
Codes are never renamed or reused.

## Rules of the linter
All of them warn about policies that are valid and still probably not what their author wants.
`

/** The text of docs/lint.md, made from the tables of rules and codes. */
export function renderLintReference(): string {
  const rules = Object.entries(LINT_RULES).flatMap(([id, { meaning, why, instead }]) => [
    `### ${id}`,
    `${sentence(meaning)} ${why}`,
    '',
    instead,
    '',
  ])
  const others = Object.entries(DIAGNOSTIC_CODES)
    .filter(([code]) => !(code in LINT_RULES))
    .map(([code, meaning]) => `| \`${code}\` | ${meaning} |`)
  return [
    INTRODUCTION,
    ...rules,
    '## Other codes',
    '| code | meaning |',
    '| --- | --- |',
    ...others,
    '',
  ].join('\n')
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`
}
