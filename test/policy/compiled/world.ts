import type { EntityUid, Value } from '#model/value.ts'
import type { EntityFacts } from '#policy/port.ts'
import { uid } from '../../support/policy-records.ts'
import { type World, worldOf } from './against-cedar.ts'

const entity = (text: string): Value => ({ kind: 'entity', uid: uid(text) })
const set = (...elements: readonly Value[]): Value => ({ kind: 'set', elements })
const record = (fields: { readonly [name: string]: Value }): Value => ({
  kind: 'record',
  fields: new Map(Object.entries(fields)),
})
const extension = (fn: 'ip' | 'decimal' | 'datetime' | 'duration', text: string): Value => ({
  kind: 'extension',
  fn,
  text,
})

const NAMED: { readonly [name: string]: Value } = {
  yes: true,
  no: false,
  zero: 0,
  five: 5,
  most: Number.MAX_SAFE_INTEGER,
  least: Number.MIN_SAFE_INTEGER,
  text: 'a*b\\c"d 😀é\n',
  empty: '',
  numbers: set(1, 2, 2, 3),
  nothing: set(),
  mixed: set(1, '1', true, entity('A::"p"'), set(1), record({ a: 1 }), extension('decimal', '1.0')),
  many: set(...Array.from({ length: 40 }, (_, i) => i), 'x', entity('G::"g"'), set(1, 2)),
  people: set(entity('A::"p"'), entity('G::"g"'), entity('A::"p"')),
  nested: record({ a: record({ b: record({ c: 7 }), 'odd name': 'x' }), p: entity('A::"p"') }),
  self: entity('A::"p"'),
  ghost: entity('A::"ghost"'),
  group: entity('G::"g"'),
  act: entity('Action::"act"'),
  ip: extension('ip', '10.1.2.3'),
  net: extension('ip', '10.0.0.0/8'),
  six: extension('ip', 'ff02::1/16'),
  price: extension('decimal', '-12.3456'),
  when: extension('datetime', '2024-02-29T12:34:56.789+0130'),
  old: extension('datetime', '0001-01-01'),
  span: extension('duration', '-1d2h3m4s5ms'),
  __proto: 1,
}

function facts(
  self: EntityUid,
  attrs: { readonly [name: string]: Value },
  ancestors: readonly EntityUid[],
): EntityFacts {
  const fields = new Map(Object.entries(attrs))
  return { uid: self, attrs: fields, tags: fields, ancestors }
}

const GROUPS = Array.from({ length: 30 }, (_, i) => uid(`G::"g${i}"`))

/** A request in which every type of value, missing things and a hierarchy can be met. */
export const WORLD: World = worldOf(
  [
    facts(uid('A::"p"'), NAMED, [uid('G::"g"'), uid('G::"top"')]),
    facts(uid('R::"r"'), { owner: entity('A::"p"'), next: entity('R::"r2"') }, []),
    facts(uid('R::"r2"'), { owner: entity('A::"ghost"'), deep: record({ of: entity('A::"p"') }) }, GROUPS),
    facts(uid('G::"g"'), {}, [uid('G::"top"')]),
    facts(uid('G::"top"'), {}, []),
  ],
  {
    principal: uid('A::"p"'),
    action: uid('Action::"act"'),
    resource: uid('R::"r"'),
    actionAncestors: [uid('Action::"group"'), uid('Action::"all"')],
    context: new Map(Object.entries(NAMED)),
  },
)

/** Names of all attributes and context fields of the world's principal. */
export const NAMES: readonly string[] = Object.keys(NAMED)
