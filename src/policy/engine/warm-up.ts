import type { PolicyRecord, ReadNode, ReleaseHeader } from '#model/release.ts'
import type { EntityUid, UidKey, ValueRecord } from '#model/value.ts'
import { uidKey } from '#model/value.ts'
import type { EntityFacts, Evaluate, Query } from '#policy/port.ts'
import type { Engine } from './engine.ts'
import { assembleRelease } from './release-index.ts'

/** Evaluations before the first request; after so many the code is optimised and the engine's pages are touched. */
const ROUNDS = 300

/**
 * Runs synthetic evaluations, so that the first real ones are not the slow ones. About 0.1 s, giving way to other work.
 *
 * @returns whether the engine answered each of them and passes its probe
 */
export async function warmUp(engine: Engine, evaluate: Evaluate): Promise<boolean> {
  const release = await assembleRelease(HEADER, batches())
  let answered = true
  for (let round = 0; round < ROUNDS; round += 1) {
    const [outcome] = evaluate(release, [query(round)])
    answered &&= outcome !== undefined && 'satisfied' in outcome
    if (round % 10 === 0) await new Promise((resolve) => setImmediate(resolve))
  }
  return answered && engine.probe()
}

const POLICIES = 6

const HEADER = {
  id: 'sha256:warm-up',
  vocabulary: 'own',
  validated: false,
  schema: undefined,
  policyCount: POLICIES,
} as ReleaseHeader

function uid(type: string, id: string): EntityUid {
  return { type: `WarmUp::${type}`, id }
}

async function* batches(): AsyncGenerator<readonly PolicyRecord[]> {
  yield Array.from({ length: POLICIES }, (_, i) => policy(i))
}

const LEAF: ReadNode = { whole: true, ancestors: false, tags: false, attrs: {} }

function reading(attrs: { readonly [name: string]: ReadNode }): ReadNode {
  return { whole: false, ancestors: false, tags: false, attrs }
}

function policy(i: number): PolicyRecord {
  const effect = i % 2 === 0 ? 'permit' : 'forbid'
  const scope = `principal in WarmUp::Group::"g${i % 3}", action == WarmUp::Action::"act", resource`
  const condition = `principal.level > ${i} && resource.owner.level < context.score && context.now > datetime("2020-01-01")`
  return {
    id: `p${i}`,
    effect,
    origin: 'tenant',
    file: 'warm-up.cedar',
    line: i + 1,
    text: `${effect}(${scope}) when { ${condition} };`,
    scope: {
      principal: { op: 'in', entity: uid('Group', `g${i % 3}`) },
      action: { op: '==', entity: uid('Action', 'act') },
      resource: { op: 'all' },
    },
    reads: {
      all: false,
      principal: reading({ level: LEAF }),
      resource: reading({ owner: reading({ level: LEAF }) }),
      action: undefined,
      context: reading({ score: LEAF, now: LEAF }),
      entities: [],
    },
    testsAutonomous: false,
    obligations: [],
    advice: undefined,
    reason: undefined,
  }
}

function query(round: number): Query {
  const principal = uid('Agent', `a${round % 50}`)
  const resource = uid('Data', `d${round % 20}`)
  const facts = new Map<UidKey, EntityFacts>([
    [uidKey(principal), entity(principal, new Map([['level', round % 9]]), round)],
    [
      uidKey(resource),
      entity(resource, new Map([['owner', { kind: 'entity', uid: principal } as const]]), round),
    ],
  ])
  return {
    principal,
    action: uid('Action', 'act'),
    resource,
    actionAncestors: [uid('Action', 'group')],
    context: new Map<string, number | { kind: 'extension'; fn: 'datetime'; text: string }>([
      ['score', round % 7],
      ['now', { kind: 'extension', fn: 'datetime', text: '2026-01-01T00:00:00Z' }],
    ]),
    entity: (wanted) => facts.get(uidKey(wanted)),
  }
}

function entity(self: EntityUid, attrs: ValueRecord, round: number): EntityFacts {
  return {
    uid: self,
    attrs,
    tags: new Map(),
    ancestors: [uid('Group', `g${round % 3}`), uid('Group', 'all')],
  }
}
