import type { Command } from 'commander'

const INTRODUCTION = `# Commands
\`npx warder COMMAND\`, beside a running server or without one. Commands use the same settings as the server
([configuration.md](configuration.md)), above all \`WARDER_DATABASE_URL\` or \`WARDER_DATA_DIR\`; whoever can read those needs no
token. Every change acts on running servers within a second.

With \`--json\` the standard output is JSON only: lists and \`logs query\` print one array, \`logs tail\` one object on each line,
everything else one object. Errors go to the standard error as \`{"error":{"code","message","help","details"}}\`. Times are UTC.

| exit code | meaning |
| --- | --- |
| 0 | done |
| 1 | what was given is wrong: policies with errors, failed tests, a registry or issuer file with problems, a value that is not allowed; \`health\`: the server is not ready |
| 2 | the command line or the environment is wrong |
| 3 | what is named does not exist, exists already, or may not be done |
| 4 | the database can't be reached or did not answer |
| 70 | a fault in Warder itself |
`

const FILES = `## Files

### Policy folder
\`*.cedar\` and \`*.cedarschema\` directly in the folder, \`tests/*.json\` in Cedar's own test shape. Without a schema the release is
marked \`unvalidated\`. The shipped guardrails and schema are added to every release.

### Registry file
\`entities\` in Cedar's entity JSON and \`actions\` (entity JSON, \`{"name", "groups"}\` or plain names). Values are explicit:
\`{"__entity": {"type", "id"}}\` and \`{"__extn": {"fn", "arg"}}\` with \`ip\`, \`decimal\`, \`datetime\` or \`duration\`.

Plain sections are shorter for Warder's own vocabulary; a text alone is an entry with that id:

| section | fields beside \`id\` |
| --- | --- |
| \`tenants\` | \`classification\` (0 to 3) |
| \`groups\` | \`groups\` |
| \`users\` | \`status\`, \`clearance\`, \`groups\`, \`tenant\` |
| \`agents\` | \`owner\`, \`blueprint\`, \`status\`, \`environment\`, \`groups\`, \`tenant\` |
| \`servers\` | \`protocol\`, \`endpoint\`, \`mapping\`, \`authorizedAs\` |
| \`tools\` | \`riskTier\`, \`sideEffect\`, \`touches\`, \`environment\`, \`sensitivity\`, \`sensitiveArguments\`, \`route\`, \`mapping\`, \`server\`, \`tenant\` |
| \`resources\` | \`kind\`, \`sensitivity\`, \`environment\`, \`owner\`, \`parents\`, \`tenant\` |

A tool also becomes the action of the same name, in the group of its side effect (\`readTools\`, \`writeTools\`,
\`destructiveTools\`); without a side effect it counts as destructive. \`route\` (\`"GET /repos/{owner}"\`, or a list) lets HTTP
gateways find the tool: \`{name}\` is one segment, \`*\` at the end the rest, the most specific pattern wins.

### Issuer file
\`issuer\`, \`audience\` and \`jwks\` or \`jwks_uri\` are required; \`algorithms\`, \`types\`, \`claims\`, \`clock_tolerance_seconds\` and
\`lifetime_seconds_max\` are optional.
`

/** The text of docs/cli.md, made from the definitions of the commands. */
export function renderReference(program: Command): string {
  return `${INTRODUCTION}\n${leavesOf(program, 'warder').join('\n')}\n${FILES}`
}

function leavesOf(command: Command, path: string): readonly string[] {
  if (command.commands.length > 0) {
    return command.commands.flatMap((child) => leavesOf(child, `${path} ${child.name()}`))
  }
  const usage = [path, ...command.registeredArguments.map((each) => argument(each.name(), each.required))]
  const lines = [
    `## ${path}`,
    `${sentence(command.description())}`,
    '',
    `    ${usage.join(' ')} [options]`,
    '',
  ]
  const rows = [
    ...command.registeredArguments.map(
      (each) => `| \`${argument(each.name(), each.required)}\` | ${each.description} |`,
    ),
    ...command.options.map(({ flags, description, mandatory, defaultValue }) => {
      const notes = [...(mandatory ? ['required'] : []), ...initial(defaultValue)]
      return `| \`${flags}\` | ${description}${notes.length > 0 ? ` (${notes.join(', ')})` : ''} |`
    }),
  ]
  return [...lines, ...(rows.length > 0 ? ['| option | meaning |', '| --- | --- |', ...rows, ''] : [])]
}

function argument(name: string, required: boolean): string {
  return required ? `<${name}>` : `[${name}]`
}

function initial(value: unknown): readonly string[] {
  return typeof value === 'number' ? [`default ${value}`] : []
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`
}
