import { Agent } from 'node:http'
import { send } from '../http.ts'
import type { Warder } from '../warder.ts'
import { ask, type Question } from './fleet.ts'

/** An admin API with a token. */
export interface Admin {
  readonly port: number
  readonly token: string
  readonly tenant: string
}

/** Calls the admin API; gives the parsed body. */
export async function callAdmin(
  admin: Admin,
  method: string,
  path: string,
  body?: object,
): Promise<{ readonly status: number; readonly json: { readonly [name: string]: unknown } }> {
  const answer = await send(admin.port, {
    method,
    path: `/v1/tenants/${admin.tenant}/${path}`,
    headers: {
      authorization: `Bearer ${admin.token}`,
      ...(body !== undefined && { 'content-type': 'application/json' }),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  })
  return { status: answer.status, json: JSON.parse(answer.body) }
}

/**
 * Revokes an agent over the admin API while every server is asked without a pause; lifts it again.
 *
 * @returns for each server the milliseconds from the administrator's answer to the first deny, 0 when it came before
 */
export async function measureLag(
  servers: readonly Warder[],
  admin: Admin,
  question: Question,
  agent: string,
): Promise<readonly number[]> {
  const connections = new Agent({ keepAlive: true })
  const untilKind = async (port: number, isIt: (kind: string) => boolean): Promise<number> => {
    const deadline = performance.now() + 10_000
    for (;;) {
      const outcome = await ask(port, connections, question)
      if (isIt(outcome.kind)) return outcome.at
      if (outcome.at > deadline) throw new Error(`it still says ${outcome.kind}`)
    }
  }
  try {
    const denied = Promise.allSettled(
      servers.map(({ decisionPort }) => untilKind(decisionPort, (kind) => kind === 'revoked.authority')),
    )
    const revoked = await callAdmin(admin, 'POST', 'revocations', {
      kind: 'agent',
      id: agent,
      reason: 'drill',
    })
    const answeredAt = performance.now()
    if (revoked.status !== 201) throw new Error(`the admin API answered ${revoked.status}`)
    const lags = (await denied).map((each) => {
      if (each.status === 'rejected') throw each.reason
      return Math.max(0, each.value - answeredAt)
    })
    await callAdmin(admin, 'DELETE', `revocations/${String(revoked.json['revocation'])}`)
    for (const { decisionPort } of servers) await untilKind(decisionPort, (kind) => kind === 'allow')
    return lags
  } finally {
    connections.destroy()
  }
}
