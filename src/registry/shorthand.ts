import type { StoredEntity } from '#model/registry.ts'
import type { EntityUid, Json, JsonObject } from '#model/value.ts'
import { endpointFault } from './endpoints.ts'
import { checkFields, checkMapping, checkRoute } from './entity.ts'
import { type Problems, quote } from './problem.ts'
import { isEntityId } from './uid.ts'
import { isObject } from './value.ts'

/** The plain sections of a registry file, in the order in which their entities are stored. */
export const SHORTHAND_SECTIONS = [
  'tenants',
  'groups',
  'users',
  'agents',
  'servers',
  'tools',
  'resources',
] as const

/** Name of a plain section. */
export type ShorthandSection = (typeof SHORTHAND_SECTIONS)[number]

const TYPES: { readonly [section in ShorthandSection]: string } = {
  tenants: 'Warder::Tenant',
  groups: 'Warder::Group',
  users: 'Warder::User',
  agents: 'Warder::Agent',
  servers: 'Warder::Server',
  tools: 'Warder::Tool',
  resources: 'Warder::Resource',
}

/** How a field of a section is read: an attribute of some kind, or parents of a type. */
type Field =
  | { readonly as: 'attribute'; readonly check: (value: Json) => boolean; readonly must: string }
  | { readonly as: 'reference'; readonly type: string }
  | { readonly as: 'parents'; readonly type: string }

/** Names of Kubernetes objects with their namespace. */
const GATEWAY_NAME = /^[a-z0-9](?:[a-z0-9./-]{0,251}[a-z0-9])?$/
const STATUS = word('active', 'suspended')
const LIFE = word('pending', 'active', 'suspended', 'retired')
const LEVEL: Field = {
  as: 'attribute',
  check: isLevel,
  must: 'a whole number from 0 (public) to 3 (restricted)',
}
const NAME: Field = { as: 'attribute', check: isName, must: 'a text' }
const NAMES: Field = {
  as: 'attribute',
  check: (value) => Array.isArray(value) && value.every(isName),
  must: 'a list of texts',
}
const GROUPS: Field = { as: 'parents', type: 'Warder::Group' }
const OWNER: Field = { as: 'reference', type: 'Warder::User' }
const TENANT: Field = { as: 'reference', type: 'Warder::Tenant' }

const FIELDS: { readonly [section in ShorthandSection]: { readonly [field: string]: Field } } = {
  tenants: { classification: LEVEL },
  groups: { groups: GROUPS },
  users: { tenant: TENANT, status: STATUS, clearance: LEVEL, groups: GROUPS },
  agents: {
    tenant: TENANT,
    owner: OWNER,
    blueprint: { as: 'parents', type: 'Warder::Blueprint' },
    status: LIFE,
    environment: NAME,
    issuer: NAME,
    groups: GROUPS,
  },
  servers: {
    protocol: word('mcp', 'a2a'),
    endpoint: {
      as: 'attribute',
      check: (value) =>
        (Array.isArray(value) ? value : [value]).every((path) => endpointFault(path) === undefined),
      must: 'a path such as `/mcp`, or a list of them',
    },
    mapping: { as: 'attribute', check: () => true, must: '' },
    authorizedAs: {
      as: 'attribute',
      check: (value) => typeof value === 'string' && GATEWAY_NAME.test(value),
      must: 'the name that an MCP gateway has for the server, such as `mcp-test/server1-route`',
    },
  },
  tools: {
    tenant: TENANT,
    server: { as: 'parents', type: 'Warder::Server' },
    riskTier: word('low', 'medium', 'high', 'critical', 'unclassified'),
    sideEffect: word('read', 'write', 'destructive'),
    touches: {
      as: 'attribute',
      check: (value) => Array.isArray(value) && value.every((item) => TOUCHES.includes(item as Json)),
      must: 'a list of `money`, `secrets`, `production`, `fan_out`',
    },
    environment: NAME,
    sensitivity: LEVEL,
    sensitiveArguments: NAMES,
    route: { as: 'attribute', check: () => true, must: '' },
    mapping: { as: 'attribute', check: () => true, must: '' },
  },
  resources: {
    tenant: TENANT,
    kind: NAME,
    sensitivity: LEVEL,
    environment: NAME,
    owner: OWNER,
    parents: { as: 'parents', type: 'Warder::Resource' },
  },
}

const TOUCHES: readonly Json[] = ['money', 'secrets', 'production', 'fan_out']

/** What the schema requires and the file may leave out; the same defaults as for things that are not registered. */
const DEFAULTS: { readonly [section in ShorthandSection]: JsonObject } = {
  tenants: { classification: 2 },
  groups: {},
  users: { status: 'active' },
  agents: { status: 'active', environment: 'any' },
  servers: {},
  tools: { riskTier: 'unclassified', sideEffect: 'destructive', touches: [], environment: 'any' },
  resources: { kind: 'resource', sensitivity: 2, environment: 'any' },
}

/**
 * Translates one entry of a plain section into its `Warder::*` entity. A text alone is the id. `tenant` is where the file
 * is imported to; an entry that names no tenant belongs to it.
 */
export function readShorthand(
  section: ShorthandSection,
  value: Json,
  path: string,
  tenant: string | undefined,
  problems: Problems,
): StoredEntity | undefined {
  const entry = typeof value === 'string' ? { id: value } : value
  const id = isObject(entry) ? entry['id'] : undefined
  if (!isObject(entry) || typeof id !== 'string' || !isEntityId(id)) {
    problems.add(`${path}.id`, 'must be a text of 1 to 1,024 printable characters')
    return undefined
  }
  const fields = FIELDS[section]
  checkFields(entry, ['id', ...Object.keys(fields)], path, problems)
  const attrs: { [name: string]: Json } = { ...DEFAULTS[section] }
  const parents: EntityUid[] = []
  const withTenant = 'tenant' in fields && tenant !== undefined ? { tenant, ...entry } : entry
  for (const [name, field] of Object.entries(fields)) {
    const given = Object.hasOwn(withTenant, name) ? withTenant[name] : undefined
    if (given !== undefined)
      readField(field, name, given, { attrs, parents, path: `${path}.${name}`, problems })
  }
  const uid = { type: TYPES[section], id }
  checkMapping(attrs, uid, `${path}.mapping`, problems)
  if (section === 'tools') {
    checkRoute(attrs['route'], uid, `${path}.route`, problems)
    if (entry['server'] === undefined) parents.push(...serverOf(id))
  }
  parents.push(...homeTenant(section, withTenant, tenant))
  return { uid, attrs, tags: {}, parents }
}

interface Target {
  readonly attrs: { [name: string]: Json }
  readonly parents: EntityUid[]
  readonly path: string
  readonly problems: Problems
}

function readField(field: Field, name: string, value: Json, target: Target): void {
  const { attrs, parents, path, problems } = target
  if (field.as === 'attribute') {
    const help = typeof value === 'string' ? `it is ${quote(value)}` : undefined
    if (field.check(value)) attrs[name] = value
    else problems.add(path, `must be ${field.must}`, help)
  } else if (field.as === 'reference') {
    const [uid] = namedIn([value], field.type, target)
    if (uid !== undefined) attrs[name] = { __entity: { type: uid.type, id: uid.id } }
  } else parents.push(...namedIn(isList(value) ? value : [value], field.type, target))
}

function namedIn(ids: readonly Json[], type: string, { path, problems }: Target): readonly EntityUid[] {
  return ids.flatMap((id) => {
    if (typeof id === 'string' && isEntityId(id)) return [{ type, id }]
    problems.add(path, `must name a ${type}`)
    return []
  })
}

function isList(value: Json): value is readonly Json[] {
  return Array.isArray(value)
}

function homeTenant(
  section: ShorthandSection,
  entry: JsonObject,
  target: string | undefined,
): readonly EntityUid[] {
  const id = typeof entry['tenant'] === 'string' ? entry['tenant'] : target
  return section === 'tenants' || id === undefined ? [] : [{ type: 'Warder::Tenant', id }]
}

/** The server is the part of a tool id before its first slash; a route (`GET /x`) has none. */
function serverOf(tool: string): readonly EntityUid[] {
  const server = tool.slice(0, Math.max(0, tool.indexOf('/')))
  return /^\S+$/.test(server) ? [{ type: 'Warder::Server', id: server }] : []
}

function word(...choices: readonly string[]): Field {
  return {
    as: 'attribute',
    check: (value) => typeof value === 'string' && choices.includes(value),
    must: choices.map((choice) => `\`${choice}\``).join(' or '),
  }
}

function isLevel(value: Json): boolean {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= 3
}

function isName(value: Json): boolean {
  return typeof value === 'string' && value.length > 0 && value.length <= 1024 && value.isWellFormed()
}
