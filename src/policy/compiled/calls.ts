import type { ExtensionFunction } from '#model/value.ts'
import { constant, type Expression, FAILING } from './expression.ts'
import { asExtension, parseExtension } from './extension.ts'
import { isInRange, isLoopback, isMulticast } from './ip.ts'
import { add, divide, type Long, subtract } from './long.ts'
import { datetime, duration, toDate, toTime } from './time.ts'
import type { Extension, Outcome } from './value.ts'

const CONSTRUCTORS: ReadonlySet<string> = new Set<ExtensionFunction>([
  'ip',
  'decimal',
  'datetime',
  'duration',
])

/** A method of extension values; operands that are none are undefined. */
type Method = (self: Extension | undefined, argument: Extension | undefined) => Outcome

const comparing =
  (holds: (a: Long, b: Long) => boolean): Method =>
  (self, argument) =>
    self?.kind === 'decimal' && argument?.kind === 'decimal' ? holds(self.units, argument.units) : undefined

const converting =
  (divisor: number): Method =>
  (self) =>
    self?.kind === 'duration' ? divide(self.milliseconds, divisor) : undefined

/** Methods by name, with the number of their operands. */
const METHODS: ReadonlyMap<string, { readonly operands: number; readonly method: Method }> = new Map([
  ['lessThan', { operands: 2, method: comparing((a, b) => a < b) }],
  ['lessThanOrEqual', { operands: 2, method: comparing((a, b) => a <= b) }],
  ['greaterThan', { operands: 2, method: comparing((a, b) => a > b) }],
  ['greaterThanOrEqual', { operands: 2, method: comparing((a, b) => a >= b) }],
  ['isIpv4', { operands: 1, method: (self) => (self?.kind === 'ip' ? self.version === 4 : undefined) }],
  ['isIpv6', { operands: 1, method: (self) => (self?.kind === 'ip' ? self.version === 6 : undefined) }],
  ['isLoopback', { operands: 1, method: (self) => (self?.kind === 'ip' ? isLoopback(self) : undefined) }],
  ['isMulticast', { operands: 1, method: (self) => (self?.kind === 'ip' ? isMulticast(self) : undefined) }],
  ['isInRange', { operands: 2, method: inRange }],
  ['offset', { operands: 2, method: offset }],
  ['durationSince', { operands: 2, method: durationSince }],
  ['toDate', { operands: 1, method: (self) => (self?.kind === 'datetime' ? toDate(self) : undefined) }],
  ['toTime', { operands: 1, method: (self) => (self?.kind === 'datetime' ? toTime(self) : undefined) }],
  ['toMilliseconds', { operands: 1, method: converting(1) }],
  ['toSeconds', { operands: 1, method: converting(1_000) }],
  ['toMinutes', { operands: 1, method: converting(60_000) }],
  ['toHours', { operands: 1, method: converting(3_600_000) }],
  ['toDays', { operands: 1, method: converting(86_400_000) }],
])

/** A call of an extension function, or undefined for a name that is none. With a wrong number of operands it errors. */
export function extensionCall(name: string, operands: readonly Expression[]): Expression | undefined {
  const [first, second] = operands
  if (isConstructor(name))
    return first === undefined || operands.length !== 1 ? FAILING : construction(name, first)
  const known = METHODS.get(name)
  if (known === undefined) return undefined
  if (first === undefined || operands.length !== known.operands) return FAILING
  const { method } = known
  if (second === undefined)
    return { run: (environment) => method(asExtension(first.run(environment)), undefined) }
  return {
    run: (environment) => {
      const self = asExtension(first.run(environment))
      return method(self, asExtension(second.run(environment)))
    },
  }
}

function isConstructor(name: string): name is ExtensionFunction {
  return CONSTRUCTORS.has(name)
}

/** A constant is read once; one that is wrong errors at every evaluation, as in Cedar. */
function construction(fn: ExtensionFunction, operand: Expression): Expression {
  if (operand.constant !== undefined) {
    const value = typeof operand.constant === 'string' ? parseExtension(fn, operand.constant) : undefined
    return value === undefined ? FAILING : constant(value)
  }
  return {
    run: (environment) => {
      const text = operand.run(environment)
      return typeof text === 'string' ? parseExtension(fn, text) : undefined
    },
  }
}

function inRange(self: Extension | undefined, argument: Extension | undefined): Outcome {
  return self?.kind === 'ip' && argument?.kind === 'ip' ? isInRange(self, argument) : undefined
}

function offset(self: Extension | undefined, argument: Extension | undefined): Outcome {
  if (self?.kind !== 'datetime' || argument?.kind !== 'duration') return undefined
  const moved = add(self.milliseconds, argument.milliseconds)
  return moved === undefined ? undefined : datetime(moved)
}

function durationSince(self: Extension | undefined, argument: Extension | undefined): Outcome {
  if (self?.kind !== 'datetime' || argument?.kind !== 'datetime') return undefined
  const span = subtract(self.milliseconds, argument.milliseconds)
  return span === undefined ? undefined : duration(span)
}
