import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { createDecider } from '#decide.ts'
import { createMask } from '#decision-log/mask.ts'
import { createLogWriter } from '#decision-log/writer.ts'
import { authzen } from '#gateways/authzen.ts'
import { native } from '#gateways/native.ts'
import type { GatewayDialect, ItemAnswer, WireRequest } from '#gateways/wire.ts'
import { createKeySets } from '#identity/key-sets.ts'
import { createVerify } from '#identity/verify.ts'
import type { TenantState } from '#model/state.ts'
import type { JsonObject } from '#model/value.ts'
import { createEngine } from '#policy/engine.ts'
import { createEvaluate } from '#policy/evaluate.ts'
import { createJudgePolicy } from '#policy/judge.ts'
import { gatewayOf, NOW, stateOf, tenantOf } from './shipped.ts'

interface NativeCase {
  readonly name: string
  readonly request: JsonObject
  readonly expect: {
    readonly decision: string
    readonly reason: string
    readonly obligations: readonly string[]
  }
}

interface AuthzenCase {
  readonly name: string
  readonly endpoint: 'evaluation' | 'evaluations'
  readonly request: JsonObject
  readonly expect: { readonly decision: boolean } | { readonly evaluations: readonly boolean[] }
}

interface Answered {
  readonly body: JsonObject
  readonly items: readonly ItemAnswer[]
}

function casesOf<T>(tenant: string): readonly T[] {
  return (JSON.parse(readFileSync(`test/cases/${tenant}.json`, 'utf8')) as { cases: readonly T[] }).cases
}

const judgePolicy = createJudgePolicy(createEvaluate(createEngine()))

/** Puts one body through a dialect and the whole decision, as the server does, without a socket. */
async function ask(
  tenant: TenantState,
  dialect: GatewayDialect,
  rawUrl: string,
  body: JsonObject,
): Promise<Answered> {
  const gateway = gatewayOf(tenant)
  const raise = (fault: unknown): never => {
    throw fault
  }
  const keys = createKeySets({
    fetch: async () => raise(new Error('no network')),
    clock: () => NOW,
    onFault: raise,
  })
  const decider = createDecider({
    clock: () => NOW,
    state: stateOf(tenant),
    freshnessMillisecondsMax: 1_000,
    verify: createVerify({ keys }),
    judgePolicy,
    log: createLogWriter({
      append: async () => {},
      mode: 'require',
      overflow: 'deny',
      queueMax: 10,
      writer: 'cases',
      onFault: raise,
    }),
    mask: createMask(new Uint8Array(32)),
    onFault: raise,
  })
  const wire: WireRequest = {
    method: 'POST',
    rawUrl,
    rawHeaders: ['content-type', 'application/json'],
    body: new TextEncoder().encode(JSON.stringify(body)),
    peer: '192.0.2.1',
  }
  const asked = dialect.read(wire, gateway, NOW)
  if (!asked.ok) throw new Error(`${asked.failure.code}: ${asked.failure.message}`)
  const items: ItemAnswer[] = []
  for (const request of asked.value.requests) items.push({ decision: await decider.decide(request, gateway) })
  return { body: JSON.parse(dialect.write(items, asked.value, wire).body) as JsonObject, items }
}

describe('the demo tenant answers every case of its matrix', async () => {
  const tenant = await tenantOf('demo')

  test.each(casesOf<NativeCase>('demo'))('$name', async ({ request, expect: expected }) => {
    const { items } = await ask(tenant, native, '/v1/decide', request)
    const decisions = items.flatMap((item) => ('decision' in item ? [item.decision] : []))
    expect(
      decisions.map(({ effect, reasons, obligations }) => ({
        decision: effect,
        reason: reasons[0]?.code,
        obligations: obligations.map(({ type }) => type),
      })),
    ).toEqual([expected])
  })
})

describe.each(['authzen-cert', 'authzen-todo', 'authzen-gateway'])(
  '%s answers every case',
  async (example) => {
    const tenant = await tenantOf(example)

    test.each(casesOf<AuthzenCase>(example))('$name', async ({ endpoint, request, expect: expected }) => {
      const { body } = await ask(tenant, authzen, `/access/v1/${endpoint}`, request)
      // Exactly this and nothing beside it: the interoperability harnesses compare whole bodies.
      expect(body).toEqual(
        'decision' in expected
          ? expected
          : { evaluations: expected.evaluations.map((decision) => ({ decision })) },
      )
    })
  },
)
