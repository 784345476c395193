import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { AMOUNT_MAX, type Scenario } from '../scenario.ts'
import { openHttpWire, type Verdict } from '../wire.ts'
import { kept } from './cerbos-policies.ts'
import { type Contender, inTurn } from './contender.ts'
import { documentFacts, folderGrants, toolFacts, toolsOf } from './facts.ts'
import { freePort, startPeer } from './peer-process.ts'

/** Version of the OPA that is measured. */
export const opaVersion = 'v1.22.2'

const WARM_UP_REQUESTS = 3_000

/** The binary of OPA in `folder`, built with the Go toolchain of this machine; undefined where there is none. */
export function installOpa(folder: string): string | undefined {
  const binary = join(folder, 'opa')
  if (existsSync(binary)) return binary
  try {
    const env = { ...process.env, GOBIN: folder }
    execFileSync('go', ['install', `github.com/open-policy-agent/opa@${opaVersion}`], {
      env,
      stdio: 'ignore',
    })
    return binary
  } catch {
    return undefined
  }
}

/** Starts OPA with a tenant's policies as it is run on one core, its decision log off; the policies go to `folder`. */
export async function startOpa(
  binary: string,
  folder: string,
  scenario: Scenario,
  { name, gogc }: { readonly name: string; readonly gogc?: string },
): Promise<Contender> {
  await mkdir(folder, { recursive: true })
  const file = join(folder, 'bench.rego')
  await writeFile(file, scenario.kind === 'one-query' ? documentRules(scenario) : toolRules(scenario))
  const port = await freePort()
  const flags = ['--disable-telemetry', '--log-level=error', `--addr=127.0.0.1:${port}`]
  const server = await startPeer(
    [binary, 'run', '--server', ...flags, file],
    { GOMAXPROCS: '1', ...(gogc === undefined ? {} : { GOGC: gogc }) },
    `http://127.0.0.1:${port}/health`,
  )
  const facts = scenario.kind === 'one-query' ? documentFacts(scenario) : toolFacts(scenario)
  const bodies = kept((number) => [JSON.stringify({ input: facts(number) })])
  const open = openHttpWire({ port, path: '/v1/data/bench/allow', key: 'none', read: readOpa })
  return {
    name: `OPA HTTP${name}`,
    pid: server.pid,
    calls: 1,
    target: { open, body: inTurn(bodies, 1) },
    bodies,
    warmUpRequests: WARM_UP_REQUESTS,
    end: server.end,
  }
}

/** OPA finds rules by the equalities in them: on the folder and the action one rule is left. */
function documentRules(scenario: Scenario): string {
  const permits = folderGrants(scenario).flatMap(({ folder, group }) =>
    ['read', 'edit'].map(
      (action) => `permit if {
  input.resource.folder == "${folder}"
  input.action == "${action}"
  input.principal.group == "${group}"
  input.context.hour >= 6
  may_see
}`,
    ),
  )
  return `package bench
default allow := false
allow if {
  permit
  not forbid
}
forbid if {
  input.action in {"edit", "share"}
  input.resource.archived
}
forbid if input.resource.sensitivity > input.principal.clearance
forbid if input.context.network == "unknown"
forbid if {
  input.action == "share"
  input.resource.ownerDepartment != input.principal.department
  not input.context.mfa
}
may_see if input.resource.sensitivity < 3
may_see if input.principal.clearance > 2
${permits.join('\n')}
`
}

/** Both parties in one question: on the tool and the group one rule each is left. */
function toolRules(scenario: Scenario): string {
  const permits = toolsOf(scenario).flatMap((tool) =>
    ['agent', 'user'].flatMap((party) =>
      Array.from(
        { length: 5 },
        (_, group) => `${party}_permit if {
  input.tool == "${tool}"
  input.${party}.group == "${party}s-${group}"
  input.arguments.amount <= ${AMOUNT_MAX}
  input.risk.score < 70
}`,
      ),
    ),
  )
  return `package bench
default allow := false
allow if {
  agent_permit
  user_permit
}
${permits.join('\n')}
`
}

function readOpa(answer: string): Verdict {
  if (!answer.startsWith('HTTP/1.1 200 ')) return 'other'
  if (answer.includes('"result":true')) return 'allow'
  return answer.includes('"result":false') ? 'deny' : 'other'
}
