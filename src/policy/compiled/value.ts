import type { EntityUid, Value, ValueRecord } from '#model/value.ts'
import type { Decimal } from './decimal.ts'
import type { Ip } from './ip.ts'
import type { Long } from './long.ts'
import type { Datetime, Duration } from './time.ts'

/** An extension value that has been read. */
export type Extension = Decimal | Ip | Datetime | Duration

/** A set; elements may repeat, and every operation on sets treats repetitions as one. */
export interface RuntimeSet {
  readonly kind: 'set'
  readonly elements: readonly RuntimeValue[]
}

/** A record. */
export interface RuntimeRecord {
  readonly kind: 'record'
  readonly fields: ReadonlyMap<string, RuntimeValue>
}

/** An entity as a value. */
export interface RuntimeEntity {
  readonly kind: 'entity'
  readonly uid: EntityUid
}

/**
 * What an expression can give: the values of queries as they are, and those that only evaluation makes: Longs beyond
 * 2^53 and extension values that have been read.
 */
export type RuntimeValue = Value | Long | Extension | RuntimeSet | RuntimeRecord | RuntimeEntity

/** An expression's outcome; undefined is Cedar's evaluation error, which no operation turns into a value. */
export type Outcome = RuntimeValue | undefined

/** The record of these fields. */
export function recordOf(fields: ValueRecord): RuntimeRecord {
  return { kind: 'record', fields }
}

/** Whether this is a Long. */
export function isLong(value: Outcome): value is Long {
  return typeof value === 'number' || typeof value === 'bigint'
}

/** Whether this is a record. */
export function isRecord(value: Outcome): value is RuntimeRecord {
  return typeof value === 'object' && value.kind === 'record'
}

/** Whether this is a set. */
export function isSet(value: Outcome): value is RuntimeSet {
  return typeof value === 'object' && value.kind === 'set'
}

/** Whether this is an entity. */
export function isEntity(value: Outcome): value is RuntimeEntity {
  return typeof value === 'object' && value.kind === 'entity'
}

/** Whether two names mean the same entity. */
export function sameUid(a: EntityUid, b: EntityUid): boolean {
  return a === b || (a.id === b.id && a.type === b.type)
}
