import type { SourceFile } from '#model/release.ts'

/** Numbers of tenant policies that are compared; shipped guardrails come on top in `agent-user`. */
export const SIZES = [10, 100, 1_000, 10_000] as const

/** `one-query`: an own vocabulary over AuthZEN. `agent-user`: Warder's vocabulary over the native interface, two queries. */
export type Kind = 'one-query' | 'agent-user'

/** Both kinds, in the order of the report. */
export const KINDS: readonly Kind[] = ['one-query', 'agent-user']

/** A tenant to measure: its policy folder, its registry file and the requests that are asked in turn. */
export interface Scenario {
  readonly kind: Kind
  readonly size: number
  readonly files: readonly SourceFile[]
  readonly registry: string
  readonly path: string
  /** JSON body of the request with this number. A fifth is denied; no two have the same facts for the policies. */
  body(number: number): string
}

/** With traffic that repeats itself, the same requests come again after so many. */
export const REPEAT_AFTER = 400

const PEOPLE = 40
/** Folders or tools that traffic touches at one time, however many exist. */
const HOT = 100
/** What an amount may be at most in `agent-user`. */
export const AMOUNT_MAX = 1_000_000_000
/** The caller, its two groups, the thing, its container and its owner. */
const ENTITIES = 6
const NETWORKS = ['office', 'vpn', 'home'] as const

interface Uid {
  readonly type: string
  readonly id: string
}

/**
 * Makes the tenant of one measurement, always the same one for the same arguments.
 *
 * However many policies there are, as many of them match a request: that is what the index promises to make cheap. About
 * six entities stand around a request: the caller and its groups, the thing and its container, its owner, the tenant.
 * `entities` are more of them, in `one-query`: groups that the caller is in as well.
 */
export function createScenario(kind: Kind, size: number, entities: number = ENTITIES): Scenario {
  return kind === 'one-query' ? documents(size, entities) : tools(size)
}

/** Four forbids for everything, and a permit to read and one to edit for each folder of documents. */
function documents(size: number, entities: number): Scenario {
  const folders = Math.floor((size - GLOBAL_FORBIDS.length) / 2)
  const permits = Array.from({ length: size - GLOBAL_FORBIDS.length }, (_, i) => {
    const folder = Math.min(Math.floor(i / 2), folders - 1)
    const action = i % 2 === 0 ? 'read' : 'edit'
    return `@id("folder-${i}")
permit (principal in Group::"g${folder % 8}", action == Action::"${action}", resource in Folder::"f${folder}")
when { context.hour >= 6 && (resource.sensitivity < 3 || principal.clearance > 2) };`
  })
  const hot = Math.min(folders, HOT)
  const body = (i: number): string => {
    const folder = i % hot
    return JSON.stringify({
      subject: { type: 'Person', id: `p${((i * 8) % PEOPLE) + (folder % 8)}` },
      action: { name: i % 3 === 0 ? 'edit' : 'read' },
      resource: { type: 'Document', id: `f${folder}/d0` },
      context: { hour: i % 5 === 0 ? -i : 6 + i, network: NETWORKS[i % 3], mfa: i % 2 === 0 },
    })
  }
  return {
    kind: 'one-query',
    size,
    files: [
      { name: 'documents.cedarschema', text: DOCUMENT_SCHEMA },
      { name: 'documents.cedar', text: [...GLOBAL_FORBIDS, ...permits].join('\n') },
    ],
    registry: JSON.stringify({ entities: documentEntities(folders, entities - ENTITIES) }),
    path: '/access/v1/evaluation',
    body,
  }
}

const DOCUMENT_SCHEMA = `entity Group in [Group];
entity Person in [Group] { clearance: Long, department: String };
entity Folder in [Folder];
entity Document in [Folder] { sensitivity: Long, owner: Person, archived: Bool };
action read, edit, share appliesTo {
  principal: [Person],
  resource: [Document],
  context: { hour: Long, network: String, mfa: Bool },
};
`

const GLOBAL_FORBIDS: readonly string[] = [
  `@id("archived")
forbid (principal, action in [Action::"edit", Action::"share"], resource) when { resource.archived };`,
  `@id("clearance")
forbid (principal, action, resource) when { resource.sensitivity > principal.clearance };`,
  `@id("network")
forbid (principal, action, resource) when { context.network == "unknown" };`,
  `@id("department")
forbid (principal, action == Action::"share", resource)
unless { resource.owner.department == principal.department || context.mfa };`,
]

function documentEntities(folders: number, moreGroups: number): readonly object[] {
  const uid = (type: string, id: string): Uid => ({ type, id })
  const groups = Array.from({ length: 8 }, (_, i) => entity(uid('Group', `g${i}`), {}, [uid('Group', 'all')]))
  const more = Array.from({ length: Math.max(0, moreGroups) }, (_, i) => uid('Group', `more-${i}`))
  const people = Array.from({ length: PEOPLE }, (_, i) =>
    entity(uid('Person', `p${i}`), { clearance: 3, department: `d${i % 4}` }, [
      uid('Group', `g${i % 8}`),
      ...more,
    ]),
  )
  const tree = Array.from({ length: folders }, (_, i) => [
    entity(uid('Folder', `f${i}`), {}, [uid('Folder', 'root')]),
    entity(
      uid('Document', `f${i}/d0`),
      {
        sensitivity: i % 4,
        owner: { __entity: { type: 'Person', id: `p${i % PEOPLE}` } },
        archived: false,
      },
      [uid('Folder', `f${i}`)],
    ),
  ])
  const roots = [entity(uid('Group', 'all'), {}, []), entity(uid('Folder', 'root'), {}, [])]
  return [...roots, ...groups, ...more.map((one) => entity(one, {}, [])), ...people, ...tree.flat()]
}

/** For each tool five permits for groups of agents and five for groups of users; one of each matches a call. */
function tools(size: number): Scenario {
  const count = Math.max(1, Math.floor(size / 10))
  const hot = Math.min(count, HOT)
  const permits = Array.from({ length: size }, (_, i) => {
    const party = i % 2 === 0 ? 'Agent' : 'User'
    const group = `${party.toLowerCase()}s-${Math.floor(i / 2) % 5}`
    const tool = Math.floor(i / 10)
    const limit = tool < hot ? `context has input && context.input.amount <= ${AMOUNT_MAX} && ` : ''
    return `@id("tool-${i}")
permit (
  principal is Warder::${party} in Warder::Group::"${group}",
  action == Warder::Action::"svc/tool-${tool}",
  resource
)
when { ${limit}context.risk.score < 70 };`
  })
  const body = (i: number): string =>
    JSON.stringify({
      agent: { id: `agent-${i % PEOPLE}` },
      user: { id: `user-${i % PEOPLE}` },
      tool: `svc/tool-${i % hot}`,
      resource: { type: 'resource', id: `repo/r${i % 200}` },
      arguments: { amount: i % 5 === 0 ? AMOUNT_MAX + i + 1 : i, note: 'quarterly report' },
      risk: { score: i % 30 },
      session: { id: `session-${i % 50}` },
    })
  return {
    kind: 'agent-user',
    size,
    files: [
      { name: 'tools.cedarschema', text: toolSchema(hot) },
      { name: 'tools.cedar', text: permits.join('\n') },
    ],
    registry: JSON.stringify({ entities: toolEntities(count) }),
    path: '/v1/decide',
    body,
  }
}

function toolSchema(hot: number): string {
  const names = Array.from({ length: hot }, (_, i) => `"svc/tool-${i}"`)
  return `namespace Warder {
  action ${names.join(', ')} in ["readTools"] appliesTo {
    principal: [Agent, User],
    resource: [Tool, Resource],
    context: { input?: { amount: Long, note?: String } },
  };
}
`
}

function toolEntities(count: number): readonly object[] {
  const uid = (type: string, id: string): Uid => ({ type: `Warder::${type}`, id })
  const tenant = uid('Tenant', 'bench')
  const tenantAttribute = { __entity: tenant }
  const parties = Array.from({ length: PEOPLE }, (_, i) => [
    entity(
      uid('Agent', `agent-${i}`),
      { tenant: tenantAttribute, status: 'active', environment: 'production' },
      [uid('Blueprint', 'worker@1'), uid('Group', `agents-${i % 5}`), tenant],
    ),
    entity(uid('User', `user-${i}`), { tenant: tenantAttribute, status: 'active', clearance: 3 }, [
      uid('Group', `users-${i % 5}`),
      tenant,
    ]),
  ])
  const groups = Array.from({ length: 5 }, (_, i) => [
    entity(uid('Group', `agents-${i}`), {}, [tenant]),
    entity(uid('Group', `users-${i}`), {}, [tenant]),
  ])
  const registered = Array.from({ length: count }, (_, i) =>
    entity(
      uid('Tool', `svc/tool-${i}`),
      {
        tenant: tenantAttribute,
        riskTier: 'medium',
        sideEffect: 'read',
        touches: ['production'],
        environment: 'any',
      },
      [uid('Server', 'svc'), tenant],
    ),
  )
  const resources = Array.from({ length: 200 }, (_, i) =>
    entity(
      uid('Resource', `repo/r${i}`),
      { tenant: tenantAttribute, kind: 'repository', sensitivity: 1, environment: 'production' },
      [tenant],
    ),
  )
  const single = [
    entity(tenant, { classification: 3 }, []),
    entity(uid('Blueprint', 'worker@1'), {}, [tenant]),
    entity(uid('Server', 'svc'), {}, [tenant]),
  ]
  return [...single, ...groups.flat(), ...parties.flat(), ...registered, ...resources]
}

function entity(uid: Uid, attrs: object, parents: readonly Uid[]): object {
  return { uid, attrs, parents }
}
