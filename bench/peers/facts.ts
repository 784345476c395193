import type { Scenario } from '../scenario.ts'

/** Distinct requests in the mixed traffic. */
export const MIXED_REQUESTS = 5_000

/** A request of the scenario `one-query` with everything that its policies read. */
export interface DocumentFacts {
  readonly principal: {
    readonly id: string
    readonly group: string
    readonly clearance: number
    readonly department: string
  }
  readonly action: string
  readonly resource: {
    readonly id: string
    readonly folder: string
    readonly sensitivity: number
    readonly archived: boolean
    readonly ownerDepartment: string
  }
  readonly context: { readonly hour: number; readonly network: string; readonly mfa: boolean }
}

/** A request of the scenario `agent-user` with everything that its tenant's policies read. */
export interface ToolFacts {
  readonly tool: string
  readonly agent: { readonly id: string; readonly group: string }
  readonly user: { readonly id: string; readonly group: string }
  readonly arguments: { readonly amount: number; readonly note: string }
  readonly risk: { readonly score: number }
}

interface Entity {
  readonly uid: { readonly type: string; readonly id: string }
  readonly attrs: Readonly<Record<string, unknown>>
  readonly parents: readonly { readonly type: string; readonly id: string }[]
}

/** Looks up what Warder keeps in its registry: peers without one are sent it with each request. */
export function documentFacts({ registry, body }: Scenario): (number: number) => DocumentFacts {
  const entities = readEntities(registry)
  return (number) => {
    const { subject, action, resource, context } = parseDocumentBody(body(number))
    const person = find(entities, 'Person', subject.id)
    const document = find(entities, 'Document', resource.id)
    const owner = find(entities, 'Person', parseReference(document.attrs['owner']))
    return {
      principal: {
        id: subject.id,
        group: parentOf(person, 'Group'),
        clearance: Number(person.attrs['clearance']),
        department: String(person.attrs['department']),
      },
      action: action.name,
      resource: {
        id: resource.id,
        folder: parentOf(document, 'Folder'),
        sensitivity: Number(document.attrs['sensitivity']),
        archived: document.attrs['archived'] === true,
        ownerDepartment: String(owner.attrs['department']),
      },
      context,
    }
  }
}

/** The same for `agent-user`. */
export function toolFacts({ registry, body }: Scenario): (number: number) => ToolFacts {
  const entities = readEntities(registry)
  return (number) => {
    const { tool, agent, user, arguments: args, risk } = parseToolBody(body(number))
    return {
      tool,
      agent: { id: agent.id, group: parentOf(find(entities, 'Warder::Agent', agent.id), 'Warder::Group') },
      user: { id: user.id, group: parentOf(find(entities, 'Warder::User', user.id), 'Warder::Group') },
      arguments: args,
      risk,
    }
  }
}

/** Every folder and the group whose members may read and edit what is in it. */
export function folderGrants({
  registry,
}: Scenario): readonly { readonly folder: string; readonly group: string }[] {
  return idsOf(registry, 'Folder')
    .filter((id) => id !== 'root')
    .map((folder) => ({ folder, group: `g${Number(folder.slice(1)) % 8}` }))
}

/** Every tool. */
export function toolsOf({ registry }: Scenario): readonly string[] {
  return idsOf(registry, 'Warder::Tool')
}

function idsOf(registry: string, type: string): readonly string[] {
  return parseRegistry(registry)
    .filter(({ uid }) => uid.type === type)
    .map(({ uid }) => uid.id)
}

function readEntities(registry: string): ReadonlyMap<string, Entity> {
  return new Map(parseRegistry(registry).map((entity) => [`${entity.uid.type} ${entity.uid.id}`, entity]))
}

function find(entities: ReadonlyMap<string, Entity>, type: string, id: string): Entity {
  const entity = entities.get(`${type} ${id}`)
  if (entity === undefined) throw new Error(`the scenario lacks ${type} ${id}`)
  return entity
}

function parentOf({ parents }: Entity, type: string): string {
  return parents.find((parent) => parent.type === type)?.id ?? ''
}

function parseRegistry(registry: string): readonly Entity[] {
  return (JSON.parse(registry) as { readonly entities: readonly Entity[] }).entities
}

function parseReference(value: unknown): string {
  return (value as { readonly __entity: { readonly id: string } }).__entity.id
}

function parseDocumentBody(body: string): {
  readonly subject: { readonly id: string }
  readonly action: { readonly name: string }
  readonly resource: { readonly id: string }
  readonly context: DocumentFacts['context']
} {
  return JSON.parse(body) as ReturnType<typeof parseDocumentBody>
}

function parseToolBody(body: string): {
  readonly tool: string
  readonly agent: { readonly id: string }
  readonly user: { readonly id: string }
  readonly arguments: ToolFacts['arguments']
  readonly risk: ToolFacts['risk']
} {
  return JSON.parse(body) as ReturnType<typeof parseToolBody>
}
