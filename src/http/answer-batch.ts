import { setImmediate as nextTurn } from 'node:timers/promises'
import type { ItemAnswer, ReadRequest } from '#gateways/wire.ts'
import type { Decision } from '#model/decision.ts'
import type { AuthorizationRequest, Malformed } from '#model/request.ts'

/** What answering one item takes, by its position too; both give the decision that was logged. */
export interface ItemDecider {
  decide(request: AuthorizationRequest, position: number): Promise<Decision>
  refuse(malformed: Malformed, position: number): Promise<Decision>
}

/** Answers in the order of the items, with the decision of each. */
export interface AnsweredItems {
  readonly answers: readonly ItemAnswer[]
  readonly decisions: readonly Decision[]
}

type Item = { readonly request: AuthorizationRequest } | { readonly malformed: Malformed }

/** Items that are started in one turn of the event loop: a large batch must not hold up everybody else's requests. */
const ITEMS_PER_TURN = 8

/**
 * Decides every item. All at once, so that their log rows share a round trip, unless the semantic may stop early: then
 * one after the other, and the answer ends with the item that stopped it (AuthZEN 1.0 section 7.1.2.1).
 */
export async function answerBatch(asked: ReadRequest, decider: ItemDecider): Promise<AnsweredItems> {
  const items = itemsOf(asked)
  const { semantic } = asked
  if (semantic === 'single' || semantic === 'execute_all') {
    const decisions = await decideAll(items, decider)
    return { answers: decisions.map((decision, i) => answerOf(items[i], decision)), decisions }
  }
  const stopsAt = semantic === 'deny_on_first_deny' ? 'deny' : 'allow'
  const answers: ItemAnswer[] = []
  const decisions: Decision[] = []
  for (const [position, item] of items.entries()) {
    const decision = await decideItem(item, position, decider)
    decisions.push(decision)
    answers.push(answerOf(item, decision))
    const effect = 'malformed' in item ? 'deny' : decision.effect
    if (effect === stopsAt) break
  }
  return { answers, decisions }
}

async function decideAll(items: readonly Item[], decider: ItemDecider): Promise<readonly Decision[]> {
  const started: Promise<Decision>[] = []
  for (const item of items) {
    if (started.length > 0 && started.length % ITEMS_PER_TURN === 0) await nextTurn()
    const decision = decideItem(item, started.length, decider)
    // Awaited below; until then a rejection would count as one that nobody handles, and end the process.
    decision.catch(() => undefined)
    started.push(decision)
  }
  return await Promise.all(started)
}

function itemsOf({ requests, itemErrors }: ReadRequest): readonly Item[] {
  let readable = 0
  const items: Item[] = []
  for (let position = 0; position < requests.length + itemErrors.size; position++) {
    const malformed = itemErrors.get(position)
    const request = malformed === undefined ? requests[readable++] : undefined
    if (malformed !== undefined) items.push({ malformed })
    else if (request !== undefined) items.push({ request })
  }
  return items
}

function decideItem(item: Item, position: number, decider: ItemDecider): Promise<Decision> {
  return 'malformed' in item
    ? decider.refuse(item.malformed, position)
    : decider.decide(item.request, position)
}

function answerOf(item: Item | undefined, decision: Decision): ItemAnswer {
  return item !== undefined && 'malformed' in item ? { malformed: item.malformed } : { decision }
}
